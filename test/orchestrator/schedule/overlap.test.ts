import { describe, expect, test } from 'vitest';
import type { WorkflowSchedule } from '../../../domain/schedule.ts';
import { manualClock } from '../../../domain/time.ts';
import { waitFor } from '../../support/wait-for.ts';
import { registerAgent, type Stand, startStand, trigger, workflow } from '../dispatch/stand.ts';

const HOUR_MS = 3_600_000;
const START = Date.parse('2026-03-01T00:00:00.500Z');

interface Shown {
  readonly hour: number;
  readonly state: string;
  readonly error: string | null;
  readonly id: string;
}

/** A stand whose clock is moved by hand, with one workflow that is due each hour. */
async function hourly(schedule: Partial<WorkflowSchedule>, maxActiveRuns: number | null = null) {
  const clock = manualClock(START);
  const stand = await startStand({ clock, leaseMs: 1_000 * HOUR_MS });
  const definition = workflow('hourly', [{ key: 'only' }], {
    schedule: { cron: '@hourly', timezone: 'UTC', catchup: true, ...schedule },
    maxActiveRuns,
  });
  const agent = await registerAgent(stand.orchestrator, { definitions: [definition] });
  return {
    stand,
    agent,
    async pass(hours = 1) {
      clock.advance(hours * HOUR_MS);
      await stand.reconcile('scheduler');
    },
    async [Symbol.asyncDispose]() {
      await stand[Symbol.asyncDispose]();
    },
  };
}

async function runsOf({ orchestrator }: Stand, triggered = 'schedule'): Promise<Shown[]> {
  const { items } = await orchestrator.runs.list({ workflow: 'hourly' });
  return items
    .filter((run) => run.trigger === triggered)
    .map((run) => ({
      hour: Number(run.logicalDate?.slice(11, 13)),
      ...{ state: run.state, id: run.id },
      error: run.error === null ? null : `${run.error.name}: ${run.error.message}`,
    }))
    .sort((a, b) => a.hour - b.hour);
}

const states = (runs: readonly Shown[]) => runs.map(({ state }) => state);

async function outcomes({ orchestrator }: Stand) {
  const { items } = await orchestrator.schedules.expectedRuns({ workflow: 'hourly' });
  return items.toReversed().map(({ outcome, reason }) => [outcome, reason]);
}

describe('a scheduled run that is due while an earlier one goes on', () => {
  test('begins beside it, unless told', async () => {
    await using it = await hourly({});
    await it.pass(3);
    expect(states(await runsOf(it.stand))).toEqual(['queued', 'queued', 'queued']);
  });

  test('waits for it with the policy queue, one after the other', async () => {
    await using it = await hourly({ overlap: { policy: 'queue' } });
    await it.pass(3);
    expect(states(await runsOf(it.stand))).toEqual(['queued', 'scheduled', 'scheduled']);
    for (const done of [1, 2, 3]) {
      const [assignment] = await it.agent.claim(10, 5_000);
      if (!assignment) throw new Error('nothing to do');
      await it.agent.succeed(assignment);
      const ended = states(await runsOf(it.stand)).filter((state) => state === 'succeeded');
      expect(ended).toHaveLength(done);
    }
  });

  test('is skipped where so many wait already, and says so', async () => {
    await using it = await hourly({ overlap: { policy: 'queue', atMost: 2 } });
    for (let hour = 0; hour < 5; hour += 1) await it.pass();
    const runs = await runsOf(it.stand);
    expect(states(runs)).toEqual(['queued', 'scheduled', 'scheduled', 'skipped', 'skipped']);
    expect(runs[3]?.error).toBe('queue-full: 2 runs of the schedule waited already');
    expect((await outcomes(it.stand)).slice(2)).toEqual([
      ['run', null],
      ['skipped', 'queue-full'],
      ['skipped', 'queue-full'],
    ]);
  });

  test('is skipped with the policy skip, and shown as a skipped run with the reason', async () => {
    await using it = await hourly({ overlap: { policy: 'skip' } });
    for (let hour = 0; hour < 3; hour += 1) await it.pass();
    const runs = await runsOf(it.stand);
    expect(states(runs)).toEqual(['queued', 'skipped', 'skipped']);
    expect(runs[1]?.error).toBe(`overlap: run ${runs[0]?.id} of the schedule had not ended`);
    const [assignment] = await it.agent.claim();
    if (!assignment) throw new Error('nothing to do');
    await it.agent.succeed(assignment);
    await it.pass();
    expect(states(await runsOf(it.stand))).toEqual(['succeeded', 'skipped', 'skipped', 'queued']);
    expect(await outcomes(it.stand)).toEqual([
      ['run', null],
      ['skipped', 'overlap'],
      ['skipped', 'overlap'],
      ['run', null],
    ]);
    const tasks = await it.stand.orchestrator.runs.tasks(runs[1]?.id ?? '');
    expect(tasks.map(({ state }) => state)).toEqual(['skipped']);
  });

  test('takes its place with the policy cancel-running, and begins once the earlier one has ended', async () => {
    await using it = await hourly({ overlap: { policy: 'cancel-running' } });
    await it.pass();
    const [first] = await it.agent.claim();
    if (!first) throw new Error('nothing to do');
    await it.pass();
    expect(states(await runsOf(it.stand))).toEqual([expect.any(String), 'scheduled']);
    // The agent is told, and its task ends.
    const { cancel } = await it.agent.beat();
    expect(cancel.map(({ runId, reason }) => [runId, reason])).toEqual([
      [first.runId, expect.stringContaining('overlap: cancel-running')],
    ]);
    await it.agent.complete([
      {
        ...{ runId: first.runId, taskKey: first.taskKey, token: first.token, state: 'cancelled' },
        ...{ startedAt: START, finishedAt: START },
      },
    ]);
    const [second] = await it.agent.claim(10, 5_000);
    if (!second) throw new Error('the later one does not begin');
    expect(second.logicalDate).toBe('2026-03-01T01:00:00.000Z');
    expect(states(await runsOf(it.stand))).toEqual(['cancelled', expect.any(String)]);
    expect(await outcomes(it.stand)).toEqual([
      ['run', 'cancelled-by-overlap'],
      ['run', null],
    ]);
  });

  test('replaces those that wait too, and of a long stop only the latest interval runs', async () => {
    await using it = await hourly({ overlap: { policy: 'cancel-running' } });
    await it.pass();
    await it.pass(3);
    const runs = await runsOf(it.stand);
    expect(states(runs)).toEqual(['cancelled', 'skipped', 'skipped', expect.any(String)]);
    const [assignment] = await it.agent.claim(10, 5_000);
    expect(assignment?.runId).toBe(runs[3]?.id);
  });

  test('leaves runs that people started alone', async () => {
    await using it = await hourly({ overlap: { policy: 'cancel-running' } });
    const byHand = await trigger(it.stand.orchestrator, 'hourly');
    await it.pass();
    await it.pass();
    expect((await it.stand.orchestrator.runs.get(byHand)).state).not.toBe('cancelled');
    expect(states(await runsOf(it.stand))).toEqual(['cancelled', 'scheduled']);
  });

  test('goes on with more than one at a time where the workflow says so', async () => {
    await using it = await hourly({ overlap: { policy: 'skip' } }, 2);
    for (let hour = 0; hour < 3; hour += 1) await it.pass();
    expect(states(await runsOf(it.stand))).toEqual(['queued', 'queued', 'skipped']);
  });
});

test('a continuous schedule runs one after the other, each for the time since the one before', async () => {
  const clock = manualClock(START);
  await using stand = await startStand({ clock, leaseMs: 1_000 * HOUR_MS });
  const definition = workflow('on-and-on', [{ key: 'only' }], {
    schedule: { cron: '@continuous', timezone: 'UTC', catchup: false, continuous: true },
  });
  const agent = await registerAgent(stand.orchestrator, { definitions: [definition] });
  const other = await stand.another();
  const pass = async (ms: number) => {
    clock.advance(ms);
    const theirs = other.reconcilers.find(({ name }) => name === 'scheduler');
    await Promise.all([stand.reconcile('scheduler'), theirs?.run()]);
  };
  await pass(2_000);
  const [first] = await agent.claim();
  if (!first) throw new Error('nothing to do');
  await pass(HOUR_MS);
  await pass(HOUR_MS);
  expect(await agent.claim()).toEqual([]);
  await agent.fail(first);
  await pass(2_000);
  const [second, ...more] = await agent.claim();
  expect(more).toEqual([]);
  expect(second?.dataInterval?.start).toBe(first.dataInterval?.end);
  expect(Date.parse(second?.dataInterval?.end ?? '')).toBe(clock.now());
  if (!second) throw new Error('nothing to do');
  // A clock that goes back by a day does not stop it.
  await agent.succeed(second);
  await pass(-24 * HOUR_MS);
  await pass(2_000);
  expect(await agent.claim()).toHaveLength(1);
  const { items } = await stand.orchestrator.schedules.expectedRuns({ workflow: 'on-and-on' });
  expect(items.map(({ outcome }) => outcome)).toEqual(['run', 'run', 'run']);
});

describe('a run that depends on the past', () => {
  test('waits until the one before has succeeded, and tells for which it waits', async () => {
    await using it = await hourly({ dependsOnPast: true });
    await it.pass(3);
    const runs = await runsOf(it.stand);
    expect(states(runs)).toEqual(['queued', 'scheduled', 'scheduled']);
    const waiting = await it.stand.orchestrator.runs.get(runs[1]?.id ?? '');
    expect(waiting.waitsFor).toEqual({ reason: 'depends-on-past', runId: runs[0]?.id });
    const days: (string | null)[] = [];
    for (let done = 0; done < 3; done += 1) {
      const claimed = await it.agent.claim(10, 5_000);
      expect(claimed).toHaveLength(1);
      const [assignment] = claimed;
      if (!assignment) throw new Error('nothing to do');
      days.push(assignment.logicalDate);
      await it.agent.succeed(assignment);
    }
    expect(days).toEqual([
      '2026-03-01T00:00:00.000Z',
      '2026-03-01T01:00:00.000Z',
      '2026-03-01T02:00:00.000Z',
    ]);
    const ended = await it.stand.orchestrator.runs.get(runs[1]?.id ?? '');
    expect(ended.waitsFor ?? null).toBeNull();
  });

  test('goes on waiting after a failure, also those of later looks, until a retry has mended it', async () => {
    await using it = await hourly({ dependsOnPast: true });
    await it.pass();
    const [first] = await it.agent.claim();
    if (!first) throw new Error('nothing to do');
    await it.agent.fail(first);
    await it.pass();
    await it.stand.reconcile('run-promoter');
    expect(states(await runsOf(it.stand))).toEqual(['failed', 'scheduled']);
    await it.stand.orchestrator.runs.retry(first.runId, { name: 'token:test' });
    const [again] = await it.agent.claim();
    if (!again) throw new Error('nothing to do');
    expect(again.runId).toBe(first.runId);
    await it.agent.succeed(again);
    const [second] = await it.agent.claim(10, 5_000);
    expect(second?.logicalDate).toBe('2026-03-01T01:00:00.000Z');
  });

  test('is let go by another server as well, and one that was cancelled while it waited is in nobody’s way', async () => {
    await using it = await hourly({ dependsOnPast: true });
    const other = await it.stand.another();
    await it.pass(3);
    const [first] = await it.agent.claim();
    if (!first) throw new Error('nothing to do');
    const runs = await runsOf(it.stand);
    await other.runs.cancel(runs[1]?.id ?? '', 'not needed', { name: 'token:test' });
    const theirs = await registerAgent(other, { name: 'theirs' });
    await it.agent.succeed(first);
    const promoter = other.reconcilers.find(({ name }) => name === 'run-promoter');
    await promoter?.run();
    // The third one depends on the second, which was cancelled and so has not succeeded.
    expect(await theirs.claim()).toEqual([]);
    expect(states(await runsOf(it.stand))).toEqual(['succeeded', 'cancelled', 'scheduled']);
    await other.runs.retry(runs[1]?.id ?? '', { name: 'token:test' });
    const [second] = await theirs.claim(10, 5_000);
    if (!second) throw new Error('nothing to do');
    await theirs.succeed(second);
    await waitFor(async () => (await theirs.claim(10, 1_000)).length > 0);
  });

  test('the first one of all waits for nothing, and skipped ones do not count', async () => {
    await using it = await hourly({ dependsOnPast: true, overlap: { policy: 'skip' } });
    await it.pass();
    await it.pass();
    const [first] = await it.agent.claim();
    if (!first) throw new Error('nothing to do');
    await it.agent.succeed(first);
    await it.pass();
    expect(states(await runsOf(it.stand))).toEqual(['succeeded', 'skipped', 'queued']);
  });
});
