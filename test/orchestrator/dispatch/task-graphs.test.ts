import { describe, expect, it } from 'vitest';
import { planCancel, planRun } from '../../../orchestrator/dispatch/plan.ts';
import { LIVE, SUCCEEDED } from '../../../orchestrator/dispatch/task-codes.ts';
import { reopenedVector } from '../../../orchestrator/runs/begin.ts';
import { type Played, play, type TaskInput, versionOf } from './graphs.ts';

const teardown = (...setups: string[]) => ({ setups, failRun: false });
const list = (result: unknown) => ({ kind: 'succeeded' as const, result });

function cancel(run: Played, waiting: readonly string[], everything = false): string[] {
  run.cancelling = true;
  const tasks = waiting.map((key) => run.version.indexOf.get(key) ?? -1);
  return run.take(planCancel(run.version, run.vector, tasks, everything));
}

describe('set-up and teardown', () => {
  const tasks: readonly TaskInput[] = [
    { key: 'create', setup: true },
    { key: 'long', after: ['create'] },
    { key: 'short', after: ['create'] },
    { key: 'use', after: ['long', 'short'] },
    { key: 'drop', after: ['use'], teardown: teardown('create') },
  ];

  it('tidies up only when everything between is over, not when what it names is', async () => {
    const run = await play(tasks);
    run.ends({ create: 'succeeded' });
    expect(run.ends({ short: 'failed' })).toEqual([]);
    expect(run.states()).toMatchObject({ use: 'upstream-failed', long: 'running' });
    expect(run.ends({ long: 'succeeded' })).toEqual(['drop']);
    run.ends({ drop: 'succeeded' });
    expect(run.end).toBe('failed');
  });

  it('does not tidy up what was never set up', async () => {
    const run = await play(tasks);
    run.ends({ create: 'failed' });
    expect(run.state('drop')).toBe('upstream-failed');
    expect(run.end).toBe('failed');
  });

  it('waits for all that comes after its setup where it names nothing else', async () => {
    const run = await play([...tasks.slice(0, 4), { key: 'drop', teardown: teardown('create') }]);
    run.ends({ create: 'succeeded' });
    run.ends({ long: 'succeeded', short: 'succeeded' });
    expect(run.ends({ use: 'failed' })).toEqual(['drop']);
  });

  it.each([
    { failRun: false, end: 'succeeded' },
    { failRun: true, end: 'failed' },
  ])('that fails makes the run $end with failRun $failRun', async ({ failRun, end }) => {
    const run = await play([
      { key: 'create', setup: true },
      { key: 'drop', teardown: { setups: ['create'], failRun } },
    ]);
    run.ends({ create: 'succeeded' });
    run.ends({ drop: 'failed' });
    expect(run.end).toBe(end);
  });

  it('tidies up after a cancelled run, once what runs has stopped', async () => {
    const run = await play(tasks);
    run.ends({ create: 'succeeded' });
    expect(cancel(run, [])).toEqual([]);
    expect(run.states()).toMatchObject({ use: 'cancelled', drop: 'pending', long: 'running' });
    expect(run.ends({ long: 'cancelled', short: 'cancelled' })).toEqual(['drop']);
    expect(run.end).toBe(null);
    run.ends({ drop: 'succeeded' });
    expect(run.end).toBe('cancelled');
  });

  it('tries a teardown again also while the run is being cancelled', async () => {
    const run = await play(tasks);
    run.ends({ create: 'succeeded' });
    cancel(run, ['long', 'short']);
    expect(run.state('drop')).toBe('running');
    expect(run.ends({ drop: { kind: 'failed', retriesLeft: 1 } })).toEqual(['drop']);
  });

  it('is cancelled itself when the cancellation is asked for once more', async () => {
    const run = await play(tasks);
    run.ends({ create: 'succeeded' });
    cancel(run, ['long', 'short']);
    cancel(run, ['drop'], true);
    expect(run.end).toBe('cancelled');
  });

  it('is cancelled with a run that had set up nothing', async () => {
    const run = await play(tasks);
    cancel(run, ['create']);
    expect(run.end).toBe('cancelled');
  });

  it('is no last task: the run’s result is that of the work', async () => {
    const version = await versionOf(tasks);
    expect(version.tasks[version.last]?.key).toBe('use');
  });
});

describe('a mapped task', () => {
  const mapped = (more: Partial<{ maxItems: number; concurrency: number | null }> = {}) => [
    { key: 'list' },
    { key: 'each', map: { over: 'list', maxItems: 100, concurrency: null, ...more } },
    { key: 'sum', after: ['each'] },
  ];

  it('is a task for each item of the array, and ends with the last one', async () => {
    const run = await play(mapped());
    expect(run.ends({ list: list(['x', 'y', 'z']) })).toEqual(['each[0]', 'each[1]', 'each[2]']);
    expect(run.state('each')).toBe('running');
    run.ends({ 'each[2]': 'succeeded', 'each[0]': 'succeeded' });
    expect(run.ends({ 'each[1]': 'succeeded' })).toEqual(['sum']);
    expect(run.state('each')).toBe('succeeded');
    run.ends({ sum: 'succeeded' });
    expect(run.end).toBe('succeeded');
  });

  it('takes the entries of an object', async () => {
    const run = await play(mapped());
    expect(run.ends({ list: list({ a: 1, b: 2 }) })).toEqual(['each[0]', 'each[1]']);
  });

  it('is skipped where the list has no items', async () => {
    const run = await play(mapped());
    run.ends({ list: list([]) });
    expect(run.states()).toEqual({ list: 'succeeded', each: 'skipped', sum: 'skipped' });
    expect(run.end).toBe('succeeded');
  });

  it('fails with words where there is no list, or too long a one', async () => {
    const none = await play(mapped());
    none.ends({ list: list(7) });
    expect(none.refused).toEqual([
      'it maps over the result of "list", which is neither an array nor an object: return one of them there',
    ]);
    expect([none.state('each'), none.end]).toEqual(['failed', 'failed']);
    const long = await play(mapped({ maxItems: 2 }));
    long.ends({ list: list([1, 2, 3]) });
    expect(long.refused[0]).toContain('has 3 items, and at most 2 are allowed');
  });

  it('starts no more items at a time than its concurrency, and the next with each end', async () => {
    const run = await play(mapped({ concurrency: 2 }));
    expect(run.ends({ list: list([1, 2, 3, 4, 5]) })).toEqual(['each[0]', 'each[1]']);
    expect(run.ends({ 'each[1]': 'succeeded' })).toEqual(['each[2]']);
    expect(run.ends({ 'each[0]': 'failed', 'each[2]': 'succeeded' })).toEqual([
      'each[3]',
      'each[4]',
    ]);
    expect(run.ends({ 'each[3]': { kind: 'failed', retriesLeft: 1 } })).toEqual(['each[3]']);
    run.ends({ 'each[3]': 'succeeded', 'each[4]': 'succeeded' });
    expect([run.state('each'), run.state('sum'), run.end]).toEqual([
      'failed',
      'upstream-failed',
      'failed',
    ]);
  });

  it('waits for its list also with a rule that holds before', async () => {
    const run = await play([
      { key: 'list' },
      { key: 'other' },
      {
        key: 'each',
        after: ['other'],
        triggerRule: 'one-succeeded',
        map: { over: 'list', maxItems: 9, concurrency: null },
      },
    ]);
    expect(run.ends({ other: 'succeeded' })).toEqual([]);
    expect(run.ends({ list: list([1]) })).toEqual(['each[0]']);
  });

  it('maps over what another mapped task gave, in a chain', async () => {
    const run = await play([
      ...mapped().slice(0, 2),
      { key: 'again', map: { over: 'each', maxItems: 100, concurrency: null } },
    ]);
    run.ends({ list: list([1, 2, 3]) });
    run.ends({ 'each[0]': 'succeeded', 'each[1]': 'skipped' });
    expect(run.ends({ 'each[2]': 'succeeded' })).toEqual(['again[0]', 'again[1]']);
    run.ends({ 'again[0]': 'succeeded', 'again[1]': 'succeeded' });
    expect(run.end).toBe('succeeded');
  });

  it('cancels items that have not started, and ends with those that run', async () => {
    const run = await play(mapped({ concurrency: 1 }));
    run.ends({ list: list([1, 2]) });
    cancel(run, []);
    expect(run.state('each[1]')).toBe('cancelled');
    run.ends({ 'each[0]': 'cancelled' });
    expect([run.state('each'), run.end]).toEqual(['cancelled', 'cancelled']);
  });

  it('keeps its items in a run that goes on, and makes others for another list', async () => {
    const run = await play(mapped());
    run.ends({ list: list([1, 2]) });
    run.ends({ 'each[0]': 'succeeded', 'each[1]': 'failed' });
    expect(run.end).toBe('failed');
    run.vector = reopenedVector(run.version, run.vector);
    expect(run.states()).toMatchObject({
      'each[0]': 'succeeded',
      'each[1]': 'pending',
      each: 'pending',
    });
    run.vector[0] = LIVE;
    expect(run.ends({ list: list([1, 2]) })).toEqual(['each[1]']);
    run.ends({ 'each[1]': 'succeeded' });
    run.ends({ sum: 'succeeded' });
    expect(run.end).toBe('succeeded');
    run.vector[0] = LIVE;
    run.vector[1] = 0;
    expect(run.ends({ list: list([1, 2, 3]) })).toEqual(['each[0]', 'each[1]', 'each[2]']);
  });
});

describe('the end of a run', () => {
  const after: TaskInput = { key: 'alert', after: ['work'], triggerRule: 'one-failed' };

  it('is a failure also where a task went on after what failed', async () => {
    const run = await play([{ key: 'work' }, after]);
    run.ends({ work: 'failed' });
    run.ends({ alert: 'succeeded' });
    expect(run.end).toBe('failed');
  });

  it('is a success where what failed may fail', async () => {
    const run = await play([{ key: 'work', allowFailure: true }, after]);
    run.ends({ work: 'failed' });
    run.ends({ alert: 'succeeded' });
    expect(run.end).toBe('succeeded');
  });

  it('is a failure where something could not run after what may fail', async () => {
    const run = await play([
      { key: 'work', allowFailure: true },
      { key: 'next', after: ['work'] },
    ]);
    run.ends({ work: 'failed' });
    expect([run.state('next'), run.end]).toEqual(['upstream-failed', 'failed']);
  });
});

describe('another try of a run', () => {
  it('keeps what a branch did not choose, and sets up again what was tidied up', async () => {
    const run = await play([
      { key: 'create', setup: true },
      { key: 'choose', after: ['create'] },
      { key: 'left', after: ['choose'] },
      { key: 'right', after: ['choose'] },
      { key: 'late', after: ['right'], triggerRule: 'all-skipped' },
      { key: 'drop', after: ['left', 'right'], teardown: teardown('create') },
    ]);
    run.ends({ create: 'succeeded' });
    const follow = [run.version.indexOf.get('right') ?? -1];
    run.ends({ choose: { kind: 'succeeded', branch: { follow, skipAll: false } } });
    run.ends({ right: 'failed' });
    run.ends({ drop: 'succeeded' });
    expect(run.end).toBe('failed');
    run.vector = reopenedVector(run.version, run.vector);
    expect(run.states()).toEqual({
      ...{ create: 'pending', choose: 'succeeded', left: 'skipped', right: 'pending' },
      ...{ late: 'pending', drop: 'pending' },
    });
  });
});

describe('retries', () => {
  const delaysOf = async (task: Partial<TaskInput>, more: object = {}, random = 0) => {
    const version = await versionOf([{ key: 'a', retries: 4, retryDelayMs: 1_000, ...task }]);
    return [4, 3, 2, 1].map((retriesLeft) => {
      const end = { task: 0, kind: 'failed' as const, final: false, attempt: 1, lost: 0 };
      const plan = planRun(
        version,
        new Uint8Array([LIVE]),
        [{ ...end, retriesLeft, ...more }],
        false,
        () => random,
      );
      return plan.next[0]?.delayMs;
    });
  };

  it('wait by a list of delays, the last one for all that follow', async () => {
    expect(await delaysOf({ retryDelaysMs: [1_000, 10_000, 60_000], retryJitter: 0 })).toEqual([
      1_000, 10_000, 60_000, 60_000,
    ]);
  });

  it('wait ever longer up to a limit, with as much chance as they are told', async () => {
    const task = { retryBackoff: 2, retryMaxDelayMs: 5_000 };
    expect(await delaysOf(task)).toEqual([1_000, 2_000, 4_000, 5_000]);
    expect(await delaysOf({ ...task, retryJitter: 1 }, {}, 0.5)).toEqual([
      1_500, 3_000, 5_000, 5_000,
    ]);
    expect(await delaysOf({ ...task, retryJitter: 0 }, {}, 0.5)).toEqual([
      1_000, 2_000, 4_000, 5_000,
    ]);
  });

  it('wait as long as the failure itself asks for', async () => {
    expect(await delaysOf({}, { retryAfterMs: 300_000 })).toEqual([
      300_000, 300_000, 300_000, 300_000,
    ]);
    expect(await delaysOf({}, { retryAfterMs: 0 })).toEqual([0, 0, 0, 0]);
  });
});

describe('a fan-in of ten thousand', () => {
  it.each([undefined, 'all-succeeded', 'all-done', 'none-failed', 'one-failed'] as const)(
    'with the rule %s looks at each task a few times in all, not at all of them with each end',
    async (triggerRule) => {
      const width = 10_000;
      const keys = Array.from({ length: width }, (_, index) => `t${index}`);
      const version = await versionOf([
        ...keys.map((key) => ({ key })),
        { key: 'last', after: keys, ...(triggerRule ? { triggerRule } : {}) },
      ]);
      let looks = 0;
      const counted = new Proxy(version.gates[width] ?? [], {
        get(target, name, receiver) {
          if (typeof name === 'string' && /^\d+$/.test(name)) looks += 1;
          return Reflect.get(target, name, receiver);
        },
      });
      const gates = version.gates.map((gate, index) => (index === width ? counted : gate));
      const watched = { ...version, gates };
      let vector = new Uint8Array(width + 1).fill(LIVE, 0, width);
      const order = keys.map((_, index) => (index * 7_919) % width);
      for (const task of order) {
        const end = {
          task,
          kind: 'succeeded' as const,
          final: false,
          attempt: 1,
          retriesLeft: 0,
          lost: 0,
        };
        vector = Uint8Array.from(planRun(watched, vector, [end], false, () => 0).vector);
      }
      expect(vector[0]).toBe(SUCCEEDED);
      expect(looks).toBeLessThan(width * 20);
    },
  );
});
