/** Automation of partitioned assets, each partition by itself. */
import {
  asset,
  daily,
  dep,
  eager,
  monthly,
  onMissing,
  staticPartitions,
  timeWindow,
} from 'signalbox';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { manualClock } from '../../../domain/time.ts';
import { ACTOR, type AutomationStand, startAutomationStand } from './stand.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 2, 10, 1);
const days = daily({ start: '2026-01-01' });

let clock: ReturnType<typeof manualClock>;
let stand: AutomationStand;
beforeEach(async () => {
  clock = manualClock(START);
  stand = await startAutomationStand(clock);
});
afterEach(() => stand[Symbol.asyncDispose]());

/** Partitions that unfinished runs of automation make, by asset. */
async function askedFor(): Promise<Record<string, readonly string[]>> {
  const rows = await stand.stand.sql<{ partitions: Record<string, string[]> }>(
    `SELECT p.partitions FROM signalbox.run_live l JOIN signalbox.run_partition p USING (run_id) ORDER BY l.run_id`,
  );
  const all: Record<string, string[]> = {};
  for (const { partitions } of rows) {
    for (const [key, of] of Object.entries(partitions)) all[key] = [...(all[key] ?? []), ...of];
  }
  return all;
}

/** All that is asked for ends as if it were made. */
async function makeAll(): Promise<void> {
  const asked = await askedFor();
  await Promise.all(
    Object.entries(asked).flatMap(([key, of]) => of.map((one) => stand.report(key, one))),
  );
  const { items } = await stand.orchestrator.runs.list({});
  const open = items.filter(({ finishedAt }) => finishedAt === null);
  await Promise.all(
    open.map(({ id }) => stand.orchestrator.runs.cancel(id, 'the test made it', ACTOR)),
  );
  await stand.look();
}

describe('eager partitions', () => {
  it('are made for the newest one alone, when it is due, and when what it is made from is updated', async () => {
    const orders = asset('p/orders', { partitions: days }, () => 1);
    const sums = asset(
      'p/sums',
      { partitions: days, dependsOn: { orders }, automation: eager() },
      () => 1,
    );
    await stand.register(orders, sums);
    await stand.report('p/orders', '2026-03-08');
    await stand.look();
    expect(await askedFor()).toEqual({});
    expect((await stand.of('p/sums')).reason?.message).toBe(
      'waits: p/orders (partition 2026-03-09) was never made',
    );
    await stand.report('p/orders', '2026-03-09');
    await stand.look();
    expect(await askedFor()).toEqual({ 'p/sums': ['2026-03-09'] });
    await makeAll();
    expect((await stand.of('p/sums')).state).toBe('idle');
    await stand.report('p/orders', '2026-03-09');
    await stand.look();
    expect(await askedFor()).toEqual({ 'p/sums': ['2026-03-09'] });
    await makeAll();
    // The next day is over: nobody tells, the moment does.
    clock.advance(DAY);
    await stand.look();
    expect((await stand.of('p/sums')).reason?.code).toBe('upstream-missing');
  });

  it('that were held back are made when they can be, though newer ones have come', async () => {
    const orders = asset('p/orders', { partitions: days }, () => 1);
    const sums = asset(
      'p/sums',
      { partitions: days, dependsOn: { orders }, automation: eager() },
      () => 1,
    );
    await stand.register(orders, sums);
    await stand.look();
    clock.advance(2 * DAY);
    await stand.report('p/orders', '2026-03-11');
    await stand.look();
    expect(await askedFor()).toEqual({ 'p/sums': ['2026-03-11'] });
    const standing = await stand.of('p/sums');
    expect([standing.state, standing.held]).toEqual(['held', 1]);
    await stand.report('p/orders', '2026-03-09');
    await stand.look();
    expect((await askedFor())['p/sums']?.toSorted()).toEqual(['2026-03-09', '2026-03-11']);
  });

  it('of a chain are made by one run that names the partitions of each, over windows and units', async () => {
    const orders = asset('p/orders', { partitions: days, automation: eager() }, () => 1);
    const trend = asset(
      'p/trend',
      {
        ...{ partitions: days, automation: eager() },
        dependsOn: { week: dep(orders, timeWindow({ startOffset: -1, endOffset: 0 })) },
      },
      () => 1,
    );
    const months = asset(
      'p/months',
      {
        ...{ partitions: monthly({ start: '2026-01-01' }), dependsOn: { trend } },
        automation: eager(),
      },
      () => 1,
    );
    await stand.register(orders, trend, months);
    await stand.report('p/orders', '2026-03-08');
    await stand.look();
    const [run, ...others] = (await stand.orchestrator.runs.list({})).items;
    expect(others).toEqual([]);
    expect(run?.workflow).toBe('asset-partitions');
    expect(await askedFor()).toEqual({ 'p/orders': ['2026-03-09'], 'p/trend': ['2026-03-09'] });
    // Of February no day is there.
    expect((await stand.current('p/months', '2026-02')).reason.code).toBe('upstream-missing');
  });
});

describe('partitions on missing', () => {
  it('are made wherever they are missing, the oldest first, so many at a time, and the limit is told', async () => {
    const automation = { condition: onMissing(), maxPartitionsPerRound: 3 };
    const partitions = daily({ start: '2026-03-01' });
    const orders = asset('p/orders', { partitions, automation }, () => 1);
    await stand.register(orders);
    await stand.report('p/orders', '2026-03-02');
    await stand.look();
    const first = (await askedFor())['p/orders'];
    expect(first).toEqual(['2026-03-01', '2026-03-03', '2026-03-04']);
    await stand.look();
    expect((await askedFor())['p/orders']).toEqual(first);
    const standing = await stand.of('p/orders');
    expect(standing.held).toBe(5);
    expect(standing.reason).toEqual({
      code: 'round-limit',
      message:
        'waits for room: automation has 3 partitions of it under way at a time (maxPartitionsPerRound)',
    });
    await makeAll();
    expect((await askedFor())['p/orders']?.[0]).toBe('2026-03-05');
    await makeAll();
    await makeAll();
    expect(await askedFor()).toEqual({});
    expect((await stand.of('p/orders')).state).toBe('idle');
    const { missing } = await stand.orchestrator.assets.partitionCounts('p/orders');
    expect(missing).toBe(0);
  });

  it('of a list are made for each key, and for keys that come later', async () => {
    const regions = (...keys: string[]) =>
      asset('p/regions', { partitions: staticPartitions(keys), automation: onMissing() }, () => 1);
    await stand.register(regions('eu', 'us'));
    await stand.look();
    expect(await askedFor()).toEqual({ 'p/regions': ['eu', 'us'] });
    await makeAll();
    await stand.register(regions('eu', 'us', 'asia'));
    await stand.look();
    expect(await askedFor()).toEqual({ 'p/regions': ['asia'] });
  });

  it('whose code makes a range are made by one run', async () => {
    const automation = { condition: onMissing(), maxPartitionsPerRound: 30 };
    const orders = asset(
      'p/orders',
      { partitions: days, partitionRuns: 'range', automation },
      () => ({}),
    );
    await stand.register(orders);
    await stand.look();
    const { items } = await stand.orchestrator.runs.list({});
    expect(items).toHaveLength(1);
    expect((await askedFor())['p/orders']).toHaveLength(30);
    expect(items[0]?.dataInterval).toEqual({
      start: '2026-01-01T00:00:00.000Z',
      end: '2026-01-31T00:00:00.000Z',
    });
  });
});
