import { expect, test } from 'vitest';
import { manualClock } from '../../../domain/time.ts';
import { waitFor } from '../../support/wait-for.ts';
import { ACTOR, type Stand, startCatalog } from '../catalog/stand.ts';
import { workflowOf } from '../definitions.ts';

const START = Date.parse('2026-03-01T00:00:00.500Z');
const HOUR_MS = 3_600_000;

function look(stand: Stand, catalog = stand.catalog): Promise<void> {
  const scheduler = catalog.reconcilers.find((each) => each.name === 'scheduler');
  if (!scheduler) throw new Error('there is no scheduler');
  return scheduler.run();
}

async function runsOf(stand: Stand, workflow: string): Promise<(string | undefined)[][]> {
  const rows = await stand.db.query<Record<string, Date>>(
    `SELECT logical_date, interval_start, interval_end FROM signalbox.run
     WHERE workflow = $1 AND trigger = 'schedule' ORDER BY logical_date`,
    [workflow],
  );
  return rows.map((row) => Object.values(row).map((date) => date.toISOString()));
}

function scheduled(name: string, cron: string, catchup = false) {
  return workflowOf(name, { schedule: { cron, timezone: 'UTC', catchup } });
}

test('a run is made when its interval is over, with the interval’s start as its logical date', async () => {
  const clock = manualClock(START);
  await using stand = await startCatalog(clock);
  await stand.catalog.workflows.register([scheduled('hourly', '@hourly')], []);
  await look(stand);
  expect(await runsOf(stand, 'hourly')).toEqual([]);
  clock.advance(HOUR_MS);
  await look(stand);
  await look(stand);
  expect(await runsOf(stand, 'hourly')).toEqual([
    ['2026-03-01T00:00:00.000Z', '2026-03-01T00:00:00.000Z', '2026-03-01T01:00:00.000Z'],
  ]);
  expect((await stand.catalog.workflows.get('hourly')).nextRunAt).toBe('2026-03-01T02:00:00.000Z');
});

test('after a long stop the latest interval runs without catchup, each of them with', async () => {
  const clock = manualClock(START);
  await using stand = await startCatalog(clock);
  await stand.catalog.workflows.register(
    [scheduled('latest', '@hourly'), scheduled('each', '@hourly', true)],
    [],
  );
  clock.advance(200 * HOUR_MS);
  await look(stand);
  const [latest, ...more] = await runsOf(stand, 'latest');
  expect(latest?.[2]).toBe('2026-03-09T08:00:00.000Z');
  expect(more).toEqual([]);
  const each = await runsOf(stand, 'each');
  expect(each).toHaveLength(200);
  expect(each.slice(1).map((run) => run[1])).toEqual(each.slice(0, -1).map((run) => run[2]));
});

test('two servers that look at the same moment make each run once', async () => {
  const clock = manualClock(START);
  await using stand = await startCatalog(clock);
  const names = Array.from({ length: 300 }, (_, index) => `at-once-${index}`);
  await stand.catalog.workflows.register(
    names.map((name) => scheduled(name, '@hourly')),
    [],
  );
  clock.advance(HOUR_MS);
  await Promise.all([look(stand), look(stand, stand.other), look(stand), look(stand, stand.other)]);
  await look(stand);
  const [row] = await stand.db.query<{ runs: number; workflows: number }>(
    'SELECT count(*)::int AS runs, count(DISTINCT workflow)::int AS workflows FROM signalbox.run',
  );
  expect(row).toEqual({ runs: 300, workflows: 300 });
});

test('a clock that goes back runs nothing twice and waits for no far future', async () => {
  const clock = manualClock(START);
  await using stand = await startCatalog(clock);
  await stand.catalog.workflows.register([scheduled('jumpy', '@hourly')], []);
  clock.advance(HOUR_MS);
  await look(stand);
  clock.advance(10_000 * HOUR_MS);
  await look(stand);
  clock.advance(-10_000 * HOUR_MS);
  await look(stand);
  expect((await stand.catalog.workflows.get('jumpy')).nextRunAt).toBe('2026-03-01T02:00:00.000Z');
  clock.advance(-HOUR_MS);
  await look(stand);
  clock.advance(HOUR_MS);
  await look(stand);
  clock.advance(HOUR_MS);
  await look(stand);
  const starts = (await runsOf(stand, 'jumpy')).map((run) => run[0]);
  expect(starts.slice(0, 2)).toEqual(['2026-03-01T00:00:00.000Z', '2026-03-01T01:00:00.000Z']);
  expect(new Set(starts).size).toBe(3);
});

test('a paused workflow makes no run; other workflows go on', async () => {
  const clock = manualClock(START);
  await using stand = await startCatalog(clock);
  await stand.catalog.workflows.register(
    [scheduled('paused', '@hourly'), scheduled('awake', '@hourly')],
    [],
  );
  const paused = await stand.catalog.workflows.setPaused('paused', true, ACTOR);
  expect(paused.nextRunAt).toBeNull();
  clock.advance(5 * HOUR_MS);
  await look(stand);
  expect(await runsOf(stand, 'paused')).toEqual([]);
  expect(await runsOf(stand, 'awake')).toHaveLength(1);
  await stand.catalog.workflows.setPaused('paused', false, ACTOR);
  await waitFor(async () => (await runsOf(stand, 'paused')).length === 1);
});

test('a schedule of seconds runs within a second of its moment', async () => {
  await using stand = await startCatalog();
  await stand.catalog.workflows.register([scheduled('quick', '* * * * * *')], []);
  await look(stand);
  const rows = await waitFor(async () => {
    const found = await stand.db.query<{ late: number }>(
      `SELECT extract(epoch FROM created_at - interval_end)::float AS late FROM signalbox.run
       WHERE workflow = 'quick'`,
    );
    return found.length >= 3 && found;
  });
  expect(Math.max(...rows.map((row) => row.late))).toBeLessThan(1);
});

test('whatever the clock jumps, with catchup each interval runs once, on two servers', async () => {
  const clock = manualClock(START);
  await using stand = await startCatalog(clock);
  const jittered = workflowOf('jittered', {
    schedule: { cron: '@hourly', timezone: 'UTC', catchup: true, jitterMs: 1_200_000 },
  });
  await stand.catalog.workflows.register([scheduled('plain', '@hourly', true), jittered], []);
  let latest = START;
  for (const hours of [5, -3, 10, -20, 0.5, 30, -1, 1, -60, 59, 3]) {
    clock.advance(hours * HOUR_MS);
    latest = Math.max(latest, clock.now());
    await Promise.all([look(stand), look(stand, stand.other)]);
  }
  clock.advance(latest - clock.now() + HOUR_MS);
  await Promise.all([look(stand), look(stand, stand.other)]);
  await look(stand);
  const hours = Math.floor((clock.now() - START) / HOUR_MS);
  for (const workflow of ['plain', 'jittered']) {
    const runs = (await runsOf(stand, workflow)).filter((run) => (run[0] ?? '') >= '2026-03-01');
    const expected = Array.from({ length: hours }, (_, hour) =>
      new Date(Date.parse('2026-03-01T00:00:00Z') + hour * HOUR_MS).toISOString(),
    );
    // The last one's share of the jitter may not be over.
    expect(expected).toEqual(expect.arrayContaining(runs.map((run) => run[0])));
    expect(new Set(runs.map((run) => run[0])).size).toBe(runs.length);
    expect(runs.length).toBeGreaterThanOrEqual(workflow === 'plain' ? hours : hours - 1);
    const { items } = await stand.catalog.schedules.expectedRuns({ workflow, limit: 1_000 });
    expect(items.every(({ outcome }) => outcome === 'run')).toBe(true);
    expect(items.length).toBeGreaterThanOrEqual(runs.length);
  }
});
