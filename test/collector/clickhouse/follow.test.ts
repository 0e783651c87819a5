import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClickHouseError } from '@clickhouse/client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RefusedDataError } from '../../../collector/clickhouse/connection.ts';
import { Follower, type FollowerOptions } from '../../../collector/clickhouse/follow.ts';
import type { Collector } from '../../../collector/service.ts';
import { systemClock } from '../../../domain/time.ts';
import { makeTempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { assetEvent, type MemorySource, memorySource, runEvent, startCollector } from '../start.ts';
import { type RestartableClickHouse, startRestartable } from './restartable.ts';

let clickhouse: RestartableClickHouse;
let first = 0;

beforeAll(async () => {
  clickhouse = await startRestartable();
});
afterAll(() => clickhouse[Symbol.asyncDispose]());
// Each test has events of its own.
beforeEach(() => {
  first += 1_000_000;
});

/** `count` run events, from the `from`th of this test on. */
function events(from: number, count: number) {
  return Array.from({ length: count }, (_, index) => runEvent(first + from + index));
}

async function stored(collector: Collector) {
  const rows = await collector.query({
    sql: `SELECT count() AS n, uniqExact(event_id) AS ids FROM signalbox.run_events
          WHERE toUInt64(event_id) BETWEEN {from:UInt64} AND {to:UInt64}`,
    parameters: { from: first, to: first + 999_999 },
  });
  return [Number(rows[0]?.['n']), Number(rows[0]?.['ids'])];
}

describe('following run events into ClickHouse', () => {
  it('copies what is appended at once when nudged, with every field, and tells its lag', async () => {
    await using started = await startCollector(clickhouse.url);
    const { collector, source } = started;
    const whole = runEvent(first, {
      logicalDate: Date.UTC(2026, 0, 1),
      error: 'é "quoted"',
      finishedAt: Date.UTC(2026, 10, 24, 9),
      taskKey: 'load',
    });
    source.append([whole], [assetEvent(first)]);
    collector.nudge();
    await waitFor(async () => (await stored(collector))[0] === 1);
    const rows = await collector.query({
      sql: `SELECT * EXCEPT (ingested_at), toUnixTimestamp64Milli(at) AS at, toUnixTimestamp64Milli(logical_date) AS logical_date,
            toUnixTimestamp64Milli(started_at) AS started_at, toUnixTimestamp64Milli(finished_at) AS finished_at
            FROM signalbox.run_events WHERE event_id = {id:String}`,
      parameters: { id: String(first) },
    });
    expect(rows).toEqual([
      expect.objectContaining({
        at: whole.at,
        run_id: whole.runId,
        workflow: 'orders',
        task_key: 'load',
        logical_date: whole.logicalDate,
        started_at: whole.startedAt,
        finished_at: whole.finishedAt,
        error: 'é "quoted"',
        business_key: whole.businessKey,
      }),
    ]);
    const assets = await collector.query({
      sql: 'SELECT asset_key, type FROM signalbox.asset_events WHERE event_id = {id:String}',
      parameters: { id: String(first) },
    });
    expect(assets).toEqual([{ asset_key: 'db/orders', type: 'materialized' }]);
    await waitFor(async () => (await collector.health()).lagMs === 0);
  });

  it('loses nothing and doubles nothing while ClickHouse is away and comes back', async () => {
    await using started = await startCollector(clickhouse.url);
    const { collector, source } = started;
    source.append(events(0, 500));
    collector.nudge();
    await waitFor(async () => (await stored(collector))[0] === 500);
    await clickhouse.stop();
    source.append(events(500, 8_000));
    collector.nudge();
    await waitFor(async () => (await collector.health()).clickhouse === 'unreachable');
    await waitFor(async () => ((await collector.health()).lagMs ?? 0) > 0);
    source.append(events(8_500, 500));
    await clickhouse.start();
    await waitFor(async () => (await stored(collector))[0] === 9_000);
    expect(await stored(collector)).toEqual([9_000, 9_000]);
    expect(started.lines.filter((line) => line.includes('wait to be copied'))).toHaveLength(1);
  });

  it('loses nothing and doubles nothing when ClickHouse is killed in the middle of inserts', async () => {
    await using started = await startCollector(clickhouse.url);
    const { collector, source } = started;
    for (let round = 0; round < 2; round += 1) {
      source.append(events(round * 15_000, 15_000));
      collector.nudge();
      await waitFor(async () => ((await stored(collector))[0] ?? 0) > round * 15_000, {
        intervalMs: 5,
      });
      await clickhouse.kill();
      await clickhouse.start();
    }
    await waitFor(async () => (await stored(collector))[0] === 30_000);
    expect(await stored(collector)).toEqual([30_000, 30_000]);
  });

  it('doubles nothing when a process died between an insert and the saving of the watermark', async () => {
    const source: MemorySource = memorySource();
    source.append(events(0, 3_000));
    {
      await using dying = await startCollector(clickhouse.url, { source });
      await waitFor(async () => (await stored(dying.collector))[0] === 3_000);
      // The next batch goes in, but its watermark is lost.
      source.forgetful = true;
      source.append(events(3_000, 700));
      dying.collector.nudge();
      await waitFor(async () => (await stored(dying.collector))[0] === 3_700);
    }
    source.forgetful = false;
    // Meanwhile more was appended: the next batch is longer than the one that was lost.
    source.append(events(3_700, 2_000));
    await using next = await startCollector(clickhouse.url, { source });
    await waitFor(async () => (await stored(next.collector))[0] === 5_700);
    expect(await stored(next.collector)).toEqual([5_700, 5_700]);
  });

  it('sets aside an event that ClickHouse refuses for its content, and copies all others', async () => {
    await using temp = await makeTempDir('refused');
    await using started = await startCollector(clickhouse.url, { spoolDir: temp.path });
    const { collector, source } = started;
    const bad = runEvent(first + 2_000, { attempt: 1.5 });
    source.append([...events(0, 2_000), bad, ...events(2_001, 1_000)], [assetEvent(first)]);
    source.append(events(3_001, 10));
    collector.nudge();
    await waitFor(async () => (await stored(collector))[0] === 3_010);
    expect(await stored(collector)).toEqual([3_010, 3_010]);
    await waitFor(async () => (await collector.health()).lagMs === 0);
    const text = await readFile(join(temp.path, 'refused-rows.jsonl'), 'utf8');
    const kept = text.trimEnd().split('\n');
    expect(kept).toHaveLength(1);
    expect(kept[0]).toContain(`run-${first + 2_000}`);
    expect(started.lines.filter((line) => line.includes('was set aside'))).toHaveLength(1);
  });

  it('takes turns with another server: neither loses nor doubles when the turn goes over', async () => {
    const source: MemorySource = memorySource();
    let holder = 'one';
    await using one = await startCollector(clickhouse.url, {
      source,
      follow: () => holder === 'one',
    });
    await using other = await startCollector(clickhouse.url, {
      source,
      follow: () => holder === 'other',
    });
    source.append(events(0, 1_500));
    for (const { collector } of [one, other]) collector.nudge();
    await waitFor(async () => (await stored(one.collector))[0] === 1_500);
    expect((await other.collector.health()).lagMs).toBeNull();
    // The first one's last watermark is lost with its lease.
    source.forgetful = true;
    source.append(events(1_500, 300));
    one.collector.nudge();
    await waitFor(async () => (await stored(one.collector))[0] === 1_800);
    holder = 'other';
    source.forgetful = false;
    source.append(events(1_800, 200));
    await waitFor(async () => (await stored(other.collector))[0] === 2_000);
    expect(await stored(other.collector)).toEqual([2_000, 2_000]);
  });

  it('lets go of a batch that could not be sent when the turn goes over', async () => {
    const source = memorySource();
    source.append(events(0, 5));
    let tries = 0;
    let sentOutOfTurn = false;
    let isTurn = true;
    await using follower = follow(source, {
      isTurn: () => isTurn,
      async send() {
        tries += 1;
        if (isTurn) throw new Error('ClickHouse is away');
        sentOutOfTurn = true;
      },
    });
    await waitFor(() => tries > 0);
    expect(follower.lagMs()).not.toBeNull();
    isTurn = false;
    await waitFor(() => follower.lagMs() === null);
    expect(sentOutOfTurn).toBe(false);
  });

  it('gets on, batch after batch, where its turn lapses while each of them is taken slowly', async () => {
    const source = memorySource();
    source.append(events(0, 5));
    let isTurn = true;
    let sent = 0;
    await using _follower = follow(source, {
      batchSize: 1,
      isTurn: () => isTurn,
      async send() {
        sent += 1;
        isTurn = false;
        setTimeout(() => {
          isTurn = true;
        }, 20);
      },
    });
    await waitFor(async () => (await source.loadWatermark()) === '5');
    expect(sent).toBe(5);
  });

  it('waits, and sets nothing aside, where it is the table that lacks a column', async () => {
    const source = memorySource();
    source.append(events(0, 5));
    let tries = 0;
    const setAside: string[] = [];
    const cause = new ClickHouseError({
      ...{ message: 'Unknown field found while parsing JSONEachRow format: agent', code: '117' },
    });
    await using _follower = follow(source, {
      async send() {
        tries += 1;
        throw new RefusedDataError(cause);
      },
      async setAside(_table, line) {
        setAside.push(line);
      },
    });
    await waitFor(() => tries > 1);
    expect(setAside).toEqual([]);
    expect(await source.loadWatermark()).toBeNull();
  });

  it('never takes the watermark back that another server moved on meanwhile', async () => {
    const source = memorySource();
    source.append(events(0, 5));
    let isTurn = true;
    await using follower = follow(source, {
      isTurn: () => isTurn,
      async send() {
        // The answer comes so late that the turn is over, and the other one has followed further.
        isTurn = false;
        await source.saveWatermark('8');
      },
    });
    await waitFor(() => !isTurn && follower.lagMs() === null);
    expect(await source.loadWatermark()).toBe('8');
  });
});

/** A follower alone, whose way to ClickHouse the test is. */
function follow(
  source: MemorySource,
  options: Pick<FollowerOptions, 'isTurn' | 'send'> & Partial<FollowerOptions>,
) {
  const query = async () => [];
  const log = () => undefined;
  const follower = new Follower({
    source,
    clock: systemClock,
    query,
    log,
    setAside: async () => undefined,
    everyMs: 10,
    ...options,
  });
  follower.start();
  return {
    lagMs: () => follower.lagMs(),
    [Symbol.asyncDispose]: () => follower.stop(),
  };
}
