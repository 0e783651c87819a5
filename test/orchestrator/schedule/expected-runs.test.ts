import { describe, expect, test } from 'vitest';
import type { WorkflowSchedule } from '../../../domain/schedule.ts';
import { manualClock } from '../../../domain/time.ts';
import { createRunInfos } from '../../../orchestrator/runs/run-info.ts';
import { createRunMaker } from '../../../orchestrator/runs/trigger.ts';
import { createVersions } from '../../../orchestrator/runs/versions.ts';
import { createScheduler } from '../../../orchestrator/schedule/scheduler.ts';
import type { Db, Tx } from '../../../orchestrator/store/connection.ts';
import { ACTOR, type Stand, startCatalog } from '../catalog/stand.ts';
import { workflowOf } from '../definitions.ts';

const START = Date.parse('2026-03-01T00:00:00.500Z');
const HOUR_MS = 3_600_000;
const HOURLY = { cron: '@hourly', timezone: 'UTC', catchup: false };

function look(stand: Stand, catalog = stand.catalog): Promise<void> {
  const scheduler = catalog.reconcilers.find((each) => each.name === 'scheduler');
  if (!scheduler) throw new Error('there is no scheduler');
  return scheduler.run();
}

function hourly(name: string, more: Partial<WorkflowSchedule> = {}) {
  return workflowOf(name, { schedule: { ...HOURLY, ...more } });
}

async function expectedOf(stand: Stand, workflow: string) {
  const { items } = await stand.catalog.schedules.expectedRuns({ workflow, limit: 1_000 });
  return items.toReversed();
}

const hours = (items: readonly { logicalDate: string }[]) =>
  items.map(({ logicalDate }) => Number(logicalDate.slice(11, 13)));

describe('what a schedule called for is known', () => {
  test('with the run that was made', async () => {
    const clock = manualClock(START);
    await using stand = await startCatalog(clock);
    await stand.catalog.workflows.register([hourly('made')], []);
    clock.advance(HOUR_MS);
    await look(stand);
    const [only, ...more] = await expectedOf(stand, 'made');
    expect(more).toEqual([]);
    expect(only).toMatchObject({
      logicalDate: '2026-03-01T00:00:00.000Z',
      dataInterval: { start: '2026-03-01T00:00:00.000Z', end: '2026-03-01T01:00:00.000Z' },
      ...{ dueAt: '2026-03-01T01:00:00.000Z', outcome: 'run', reason: null },
      noticedAt: new Date(clock.now()).toISOString(),
    });
    const [run] = await stand.db.query<{ id: string }>('SELECT id FROM signalbox.run');
    expect(only?.runId).toBe(run?.id);
  });

  test('where servers were stopped for hours, each run that never came is there as missed', async () => {
    const clock = manualClock(START);
    await using stand = await startCatalog(clock);
    await stand.catalog.workflows.register([hourly('stopped')], []);
    clock.advance(HOUR_MS);
    await look(stand);
    clock.advance(5 * HOUR_MS);
    expect(await stand.catalog.schedules.overdue(60_000)).toEqual([
      {
        workflow: 'stopped',
        logicalDate: '2026-03-01T01:00:00.000Z',
        dueAt: '2026-03-01T02:00:00.000Z',
      },
    ]);
    await look(stand);
    expect(await stand.catalog.schedules.overdue(0)).toEqual([]);
    const all = await expectedOf(stand, 'stopped');
    expect(all.map(({ outcome }) => outcome)).toEqual([
      ...['run', 'missed', 'missed', 'missed', 'missed', 'run'],
    ]);
    expect(hours(all)).toEqual([0, 1, 2, 3, 4, 5]);
    const { items } = await stand.catalog.schedules.expectedRuns({ outcome: 'missed' });
    expect(items.map(({ reason }) => reason)).toEqual(Array(4).fill('scheduler-down'));
    // Who looks in ClickHouse is told as well, in the same transaction.
    const events = await stand.events('run');
    expect(events).toHaveLength(4);
    expect(events[0]).toMatchObject({
      ...{ workflow: 'stopped', state: 'missed', trigger: 'schedule', taskKey: '' },
      error: expect.stringMatching(/^scheduler-down: due at 2026-03-01T0\d:00:00.000Z$/),
    });
    expect(new Set(events.map(({ businessKey }) => businessKey)).size).toBe(4);
  });

  test('what passed during a pause was not missed, and the end of the pause starts one run', async () => {
    const clock = manualClock(START);
    await using stand = await startCatalog(clock);
    await stand.catalog.workflows.register(
      [hourly('rested'), hourly('asked', { catchup: true })],
      [],
    );
    for (const name of ['rested', 'asked']) {
      await stand.catalog.workflows.setPaused(name, true, ACTOR);
    }
    clock.advance(4 * HOUR_MS);
    await look(stand);
    expect(await expectedOf(stand, 'rested')).toEqual([]);
    for (const name of ['rested', 'asked']) {
      await stand.catalog.workflows.setPaused(name, false, ACTOR);
    }
    await look(stand);
    const rested = await expectedOf(stand, 'rested');
    expect(rested.map(({ outcome, reason }) => [outcome, reason])).toEqual([
      ...Array(3).fill(['skipped', 'paused']),
      ['run', null],
    ]);
    const asked = await expectedOf(stand, 'asked');
    expect(asked.map(({ outcome }) => outcome)).toEqual(Array(4).fill('run'));
  });

  test('catchup with a limit runs the newest, and says of the others that it dropped them', async () => {
    const clock = manualClock(START);
    await using stand = await startCatalog(clock);
    await stand.catalog.workflows.register(
      [
        hourly('three', { catchup: true, catchupAtMost: 3 }),
        hourly('recent', { catchup: true, catchupWithinMs: 2 * HOUR_MS }),
      ],
      [],
    );
    clock.advance(10 * HOUR_MS);
    await look(stand);
    const three = await expectedOf(stand, 'three');
    expect(hours(three.filter(({ outcome }) => outcome === 'run'))).toEqual([7, 8, 9]);
    const dropped = three.filter(({ outcome }) => outcome === 'dropped');
    expect(hours(dropped)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(dropped[0]?.reason).toBe('catchup-limit');
    const recent = await expectedOf(stand, 'recent');
    expect(hours(recent.filter(({ outcome }) => outcome === 'run'))).toEqual([8, 9]);
  });

  test('of very many that were missed the newest are listed, and one row stands for all before', async () => {
    const clock = manualClock(START);
    await using stand = await startCatalog(clock);
    await stand.catalog.workflows.register(
      [workflowOf('busy', { schedule: { ...HOURLY, cron: '* * * * * *' } })],
      [],
    );
    clock.advance(1_000 * HOUR_MS);
    await look(stand);
    const all = await expectedOf(stand, 'busy');
    expect(all).toHaveLength(201);
    expect(all[0]).toMatchObject({
      ...{ outcome: 'missed', sinceLogicalDate: '2026-03-01T00:00:00.000Z' },
    });
    expect(all.slice(1).every(({ sinceLogicalDate }) => sinceLogicalDate === null)).toBe(true);
    expect(all.at(-1)?.outcome).toBe('run');
  });

  test('lists go in pages, newest first, over all workflows or of one', async () => {
    const clock = manualClock(START);
    await using stand = await startCatalog(clock);
    await stand.catalog.workflows.register([hourly('a'), hourly('b', { catchup: true })], []);
    clock.advance(30 * HOUR_MS);
    await look(stand);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await stand.catalog.schedules.expectedRuns({
        limit: 7,
        ...(cursor === undefined ? {} : { cursor }),
      });
      seen.push(...page.items.map((item) => `${item.logicalDate} ${item.workflow}`));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(seen).toHaveLength(60);
    expect(new Set(seen).size).toBe(60);
    expect(seen).toEqual([...seen].sort().reverse());
    await expect(stand.catalog.schedules.expectedRuns({ outcome: 'lost' })).rejects.toThrow(
      'outcome is one of run, skipped, dropped, missed',
    );
  });

  test('is forgotten after ninety days', async () => {
    const clock = manualClock(START);
    await using stand = await startCatalog(clock);
    await stand.catalog.workflows.register([hourly('old')], []);
    clock.advance(HOUR_MS);
    await look(stand);
    const retention = stand.catalog.reconcilers.find(
      ({ name }) => name === 'expected-run-retention',
    );
    clock.advance(89 * 24 * HOUR_MS);
    await retention?.run();
    expect(await expectedOf(stand, 'old')).toHaveLength(1);
    clock.advance(2 * 24 * HOUR_MS);
    await retention?.run();
    expect(await expectedOf(stand, 'old')).toEqual([]);
  });
});

describe('dates of a schedule', () => {
  test('a start date in the past with catchup runs all intervals since, once, also when it is registered again', async () => {
    const clock = manualClock(START);
    await using stand = await startCatalog(clock);
    const definition = hourly('history', { catchup: true, startDate: '2026-02-28T20:00:00.000Z' });
    await stand.catalog.workflows.register([definition], []);
    await look(stand);
    expect(hours(await expectedOf(stand, 'history'))).toEqual([20, 21, 22, 23]);
    await stand.catalog.workflows.register([{ ...definition, description: 'another' }], []);
    await look(stand);
    expect(await expectedOf(stand, 'history')).toHaveLength(4);
    // Another expression goes on from now; an earlier start date begins there.
    const half = {
      ...definition,
      schedule: {
        ...HOURLY,
        cron: '30 * * * *',
        catchup: true,
        startDate: '2026-02-28T20:00:00.000Z',
      },
    };
    await stand.catalog.workflows.register([half], []);
    await look(stand);
    expect(await expectedOf(stand, 'history')).toHaveLength(4);
    await stand.catalog.workflows.register(
      [hourly('history', { catchup: true, startDate: '2026-02-28T18:00:00.000Z' })],
      [],
    );
    await look(stand);
    expect(hours(await expectedOf(stand, 'history'))).toEqual([18, 19, 20, 21, 22, 23]);
    const [row] = await stand.db.query<{ runs: number }>(
      'SELECT count(*)::int AS runs FROM signalbox.run',
    );
    expect(row?.runs).toBe(6);
  });

  test('without catchup a start date in the past starts nothing that is over; one in the future waits', async () => {
    const clock = manualClock(START);
    await using stand = await startCatalog(clock);
    await stand.catalog.workflows.register(
      [
        hourly('past', { startDate: '2026-02-01T00:00:00.000Z' }),
        hourly('future', { startDate: '2026-03-01T03:30:00.000Z' }),
      ],
      [],
    );
    await look(stand);
    expect(await expectedOf(stand, 'past')).toEqual([]);
    expect((await stand.catalog.workflows.get('future')).nextRunAt).toBe(
      '2026-03-01T05:00:00.000Z',
    );
    clock.advance(5 * HOUR_MS);
    await look(stand);
    expect(hours(await expectedOf(stand, 'future'))).toEqual([4]);
  });

  test('an end date is the last logical date; a later one goes on', async () => {
    const clock = manualClock(START);
    await using stand = await startCatalog(clock);
    const until = (endDate: string) => hourly('ends', { catchup: true, endDate });
    await stand.catalog.workflows.register([until('2026-03-01T02:00:00.000Z')], []);
    clock.advance(8 * HOUR_MS);
    await look(stand);
    expect(hours(await expectedOf(stand, 'ends'))).toEqual([0, 1, 2]);
    expect((await stand.catalog.workflows.get('ends')).nextRunAt).toBeNull();
    await stand.catalog.workflows.register([until('2026-03-01T09:00:00.000Z')], []);
    clock.advance(4 * HOUR_MS);
    await look(stand);
    expect(hours(await expectedOf(stand, 'ends'))).toEqual([0, 1, 2, 8, 9]);
  });

  test('a schedule whose end is over can be registered, and calls for nothing', async () => {
    const clock = manualClock(START);
    await using stand = await startCatalog(clock);
    await stand.catalog.workflows.register(
      [hourly('over', { endDate: '2020-01-01T00:00:00.000Z' })],
      [],
    );
    expect(await stand.catalog.workflows.fileErrors()).toEqual([]);
    const preview = await stand.catalog.schedules.preview('over', 3);
    expect([preview.nextRunAt, preview.upcoming]).toEqual([null, []]);
  });
});

describe('jitter', () => {
  test('spreads the starts of many workflows, the same on every server, and leaves their intervals', async () => {
    const clock = manualClock(START);
    await using stand = await startCatalog(clock);
    const names = Array.from({ length: 40 }, (_, index) => `spread-${index}`);
    await stand.catalog.workflows.register(
      names.map((name) => hourly(name, { jitterMs: 600_000 })),
      [],
    );
    const due = await Promise.all(
      names.map(async (name) => {
        const own = await stand.catalog.schedules.preview(name, 2);
        expect(await stand.other.schedules.preview(name, 2)).toEqual(own);
        expect(own.upcoming[0]?.dataInterval.end).toBe('2026-03-01T01:00:00.000Z');
        return Date.parse(own.upcoming[0]?.dueAt ?? '') - Date.parse('2026-03-01T01:00:00.000Z');
      }),
    );
    expect(Math.min(...due)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...due)).toBeLessThanOrEqual(600_000);
    expect(new Set(due).size).toBeGreaterThan(35);
    // The half of the ten minutes: about half of them have started.
    clock.advance(HOUR_MS + 300_000);
    await Promise.all([look(stand), look(stand, stand.other)]);
    const early = due.filter((ms) => ms <= 300_500).length;
    const { items } = await stand.catalog.schedules.expectedRuns({ limit: 1_000 });
    expect(items).toHaveLength(early);
    clock.advance(300_000);
    await Promise.all([look(stand), look(stand, stand.other)]);
    const after = await stand.catalog.schedules.expectedRuns({ limit: 1_000 });
    expect(after.items).toHaveLength(40);
    expect(new Set(after.items.map((item) => item.dataInterval.end))).toEqual(
      new Set(['2026-03-01T01:00:00.000Z']),
    );
  });
});

/** A database whose transactions break at the n-th statement. */
function breaking(db: Db, at: number): Db {
  return {
    ...db,
    transaction: (work) =>
      db.transaction((tx) => {
        let count = 0;
        const alive = () => {
          count += 1;
          if (count === at) throw new Error('the server died');
          return tx;
        };
        const broken: Tx = {
          query: (...args) => alive().query(...args),
          rows: (...args) => alive().rows(...args),
          execute: (...args) => alive().execute(...args),
        };
        return work(broken);
      }),
  };
}

test('a server that dies at any statement leaves nothing half done: none runs twice, none is lost', async () => {
  const clock = manualClock(START);
  await using stand = await startCatalog(clock);
  await stand.catalog.workflows.register(
    [
      hourly('plain', { catchup: true }),
      hourly('once', { overlap: { policy: 'skip' }, catchup: true }),
      hourly('latest', { overlap: { policy: 'cancel-running' } }),
      hourly('chained', { dependsOnPast: true, catchup: true }),
    ],
    [],
  );
  let deaths = 0;
  for (let statement = 1; statement <= 25; statement += 1) {
    clock.advance(HOUR_MS);
    const versions = createVersions();
    const dying = createScheduler({
      db: breaking(stand.db, statement),
      clock,
      createRuns: createRunMaker({ clock, versions, infos: createRunInfos(versions) }),
      announceRuns: () => {},
      defaultParameters: () => ({}),
      cancelRun: async () => {},
      changed: () => {},
      log: () => {},
    });
    await dying.reconciler.run().catch(() => {
      deaths += 1;
    });
    await dying.close();
    await Promise.all([look(stand), look(stand, stand.other)]);
  }
  expect(deaths).toBeGreaterThan(8);
  for (const name of ['plain', 'once', 'latest', 'chained']) {
    const all = await expectedOf(stand, name);
    expect(hours(all)).toEqual([...Array(24).keys(), 0]);
    expect(all.every(({ runId }) => runId !== null)).toBe(true);
    const runs = await stand.db.query<{ state: string }>(
      'SELECT state FROM signalbox.run WHERE workflow = $1',
      [name],
    );
    expect(runs).toHaveLength(25);
    const skipped = name === 'once' ? 24 : 0;
    expect(runs.filter(({ state }) => state === 'skipped')).toHaveLength(skipped);
  }
  const [held] = await stand.db.query<{ held: number }>(
    'SELECT count(*)::int AS held FROM signalbox.run_hold',
  );
  expect(held?.held).toBe(24);
  expect(await stand.db.query('SELECT FROM signalbox.run_superseded')).toEqual([]);
});
