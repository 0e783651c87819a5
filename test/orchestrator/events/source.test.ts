import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunEvent } from '../../../domain/events.ts';
import { waitFor } from '../../support/wait-for.ts';
import {
  chain,
  first,
  registerAgent,
  type Stand,
  startStand,
  trigger,
  workflow,
  workOff,
} from '../dispatch/stand.ts';

let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

/**
 * What is there after the watermark, once that is `least` events: other tests' transactions on the same cluster may
 * still hold the newest back.
 */
async function readAll(watermark: string | null, least = 0, limit = 20_000) {
  const events: RunEvent[] = [];
  let at = watermark;
  return waitFor(async () => {
    const batch = await stand.orchestrator.events.readAfter(at, limit);
    events.push(...batch.runEvents);
    at = batch.watermark;
    return batch.caughtUp && events.length >= least ? { events, watermark: at } : null;
  });
}

/** The end of everything that was appended so far. */
async function endOfAll(): Promise<string> {
  const [row] = await stand.sql<{ sum: number }>(
    `SELECT coalesce(sum(size), 0)::int AS sum FROM signalbox.event_batch WHERE kind <> 'asset'`,
  );
  return (await readAll(null, row?.sum ?? 0)).watermark;
}

describe('events', () => {
  it('tell every change of a run and every ended attempt, in order, with all that is known of the run', async () => {
    const { orchestrator } = stand;
    const agent = await registerAgent(orchestrator, {
      name: 'teller',
      queues: ['told'],
      definitions: [
        workflow(
          'told',
          [
            { key: 'a', retries: 1, retryDelayMs: 20 },
            { key: 'b', after: ['a'] },
          ],
          { queue: 'told' },
        ),
      ],
    });
    const watermark = await endOfAll();
    const runId = await trigger(orchestrator, 'told', {
      parameters: { x: 1 },
      logicalDate: '2026-01-01T00:00:00Z',
    });
    await agent.fail(first(await agent.claim()));
    await workOff(agent, 500);
    const { events } = await readAll(watermark, 8);
    expect(events.map(({ taskKey, attempt, state }) => `${taskKey} ${attempt} ${state}`)).toEqual([
      ' 0 queued',
      ' 0 running',
      'a 1 failed',
      ' 0 retrying',
      ' 0 running',
      'a 2 succeeded',
      'b 1 succeeded',
      ' 0 succeeded',
    ]);
    for (const event of events) {
      expect(event).toMatchObject({
        runId,
        workflow: 'told',
        engine: 'signalbox',
        parameters: '{"x":1}',
        logicalDate: Date.UTC(2026, 0, 1),
        trigger: 'manual',
      });
    }
    expect(events[2]).toMatchObject({ agent: 'teller', error: 'Error: it broke' });
    expect(events.at(-1)?.finishedAt).toBeGreaterThan(0);
    const ids = events.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect([...ids].sort()).toEqual(ids);
  });

  it('read again from a watermark are the same, and a small limit gives small batches', async () => {
    const { orchestrator } = stand;
    const watermark = await endOfAll();
    await registerAgent(orchestrator, {
      definitions: [workflow('batched', chain(1), { queue: 'batched' })],
    });
    await orchestrator.runs.triggerBatch(
      'batched',
      Array.from({ length: 2_500 }, () => ({})),
      { name: 'token:test' },
    );
    await endOfAll();
    const one = await orchestrator.events.readAfter(watermark, 1_000);
    expect(one.runEvents.length).toBe(1_000);
    expect(one.caughtUp).toBe(false);
    expect(await orchestrator.events.readAfter(watermark, 1_000)).toEqual(one);
    const { events } = await readAll(watermark, 2_500, 1_000);
    expect(new Set(events.map(({ runId }) => runId)).size).toBe(2_500);
  });

  it('of thousands of small transactions are one batch, since each batch costs who copies it the same time', async () => {
    const watermark = await endOfAll();
    await stand.sql(
      `INSERT INTO signalbox.event_batch (at, kind, size, events)
       SELECT now(), 'run', 1, jsonb_build_array(jsonb_build_object('at', n, 'runId', 'small'))::text
       FROM generate_series(1, 4000) AS n`,
    );
    await endOfAll();
    const all = await stand.orchestrator.events.readAfter(watermark, 20_000);
    expect(all.runEvents.map(({ at }) => at)).toEqual(
      Array.from({ length: 4_000 }, (_, index) => index + 1),
    );
    expect(all.caughtUp).toBe(true);
    const some = await stand.orchestrator.events.readAfter(watermark, 3_999);
    expect([some.runEvents.length, some.caughtUp]).toEqual([3_999, false]);
  });

  it('of a transaction that commits late are not passed by', async () => {
    const { orchestrator } = stand;
    const watermark = await endOfAll();
    const late = new pg.Client({ connectionString: stand.postgres.url });
    await late.connect();
    await late.query('BEGIN');
    const event = { runId: 'late', engine: 'other', state: 'running' };
    await late.query(
      `INSERT INTO signalbox.event_batch (at, kind, size, events) VALUES (now(), 'run', 1, $1)`,
      [JSON.stringify([event])],
    );
    await trigger(orchestrator, 'batched');
    const before = await readAll(watermark);
    expect(before.events).toEqual([]);
    await late.query('COMMIT');
    await late.end();
    const after = await readAll(before.watermark, 2);
    expect(after.events.map(({ runId, engine }) => (engine === 'other' ? runId : engine))).toEqual([
      'late',
      'signalbox',
    ]);
  });

  it('come in the order of their transactions also where the numbers of these get longer', async () => {
    const at = (at: number) => JSON.stringify([{ at, runId: `r${at}` }]);
    // Transactions long before all that this database has seen.
    await stand.sql(
      `INSERT INTO signalbox.event_batch (xid, at, kind, size, events)
       VALUES ('9', now(), 'run', 1, $1), ('10', now(), 'run', 1, $2), ('100', now(), 'run', 1, $3)`,
      [at(9), at(10), at(100)],
    );
    const seen: number[] = [];
    for (let watermark = '0:0'; seen.length < 3; ) {
      const batch = await stand.orchestrator.events.readAfter(watermark, 1);
      seen.push(...batch.runEvents.map((event) => event.at));
      watermark = batch.watermark;
    }
    expect(seen).toEqual([9, 10, 100]);
    const together = await stand.orchestrator.events.readAfter('0:0', 3);
    expect(together.runEvents.slice(0, 3).map((event) => event.at)).toEqual([9, 10, 100]);
    await stand.sql(`DELETE FROM signalbox.event_batch WHERE xid <= '100'`);
  });

  it('are kept until they were followed, and deleted a good while later', async () => {
    const { orchestrator } = stand;
    await trigger(orchestrator, 'batched');
    expect(await orchestrator.events.loadWatermark()).toBeNull();
    await stand.sql(`UPDATE signalbox.event_batch SET at = now() - interval '2 hours'`);
    await stand.reconcile('event-retention');
    const watermark = await endOfAll();
    expect(await orchestrator.events.saveWatermark(watermark, null)).toBe(true);
    // One that was stopped meanwhile knows an older place.
    expect(await orchestrator.events.saveWatermark('1:1', '0:1')).toBe(false);
    expect(await orchestrator.events.saveWatermark('1:1', null)).toBe(false);
    expect(await orchestrator.events.loadWatermark()).toBe(watermark);
    await trigger(orchestrator, 'batched');
    await stand.reconcile('event-retention');
    expect((await readAll(null, 1)).events.length).toBe(1);
  });
});
