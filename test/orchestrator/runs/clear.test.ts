import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Assignment, TaskDefinition } from '../../../domain/agent-protocol.ts';
import {
  chain,
  ended,
  first,
  type HandAgent,
  registerAgent,
  type Stand,
  startStand,
  trigger,
  workflow,
  workOff,
} from '../dispatch/stand.ts';

const ACTOR = { name: 'token:test' };
let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

type Tasks = readonly (Partial<TaskDefinition> & { key: string })[];

/** A workflow on a queue of its own, with an agent for it. */
async function define(name: string, tasks: Tasks, more = {}): Promise<HandAgent> {
  const definition = workflow(name, tasks, { queue: name, ...more });
  return registerAgent(stand.orchestrator, { queues: [name], definitions: [definition] });
}

const control = () => stand.orchestrator.runControl;
const stateOf = async (runId: string) => (await stand.orchestrator.runs.get(runId)).state;
const statesOf = async (runId: string) =>
  Object.fromEntries(
    (await stand.orchestrator.runs.tasks(runId)).map(({ key, state, attempt }) => [
      key,
      `${state} ${attempt}`,
    ]),
  );

describe('clearing tasks of a run that has ended', () => {
  it('runs the tasks and their descendants again, counts attempts on, and serves no result of before', async () => {
    const agent = await define('cleared', chain(3));
    const runId = await trigger(stand.orchestrator, 'cleared');
    for (const result of ['a', 'b', 'c']) await agent.succeed(first(await agent.claim()), result);
    expect(await stateOf(runId)).toBe('succeeded');
    const effect = await control().clear(runId, { tasks: ['t1'], downstream: true }, ACTOR);
    expect(effect).toMatchObject({
      dryRun: false,
      runs: [
        {
          ...{ runId, from: 'succeeded', to: 'queued' },
          tasks: [
            { key: 't1', from: 'succeeded', to: 'ready', reason: 'selected', stopped: false },
            { key: 't2', from: 'succeeded', to: 'pending', reason: 'downstream' },
          ],
        },
      ],
      counts: { runs: 1, tasks: 2, rerun: 2, stopped: 0, downstreamTasks: 0 },
    });
    expect(await statesOf(runId)).toEqual({ t0: 'succeeded 1', t1: 'ready 2', t2: 'pending 1' });
    const served = (key: string) => stand.orchestrator.agents.result(agent.sessionId, runId, key);
    expect(await served('t0')).toEqual({ state: 'succeeded', result: 'a' });
    expect(await served('t1')).toMatchObject({ result: null });
    expect(await served('t2')).toEqual({ state: 'pending', result: null });
    const again = first(await agent.claim());
    expect(again).toMatchObject({ taskKey: 't1', attempt: 2 });
    await agent.succeed(again, 'b2');
    expect(await served('t1')).toEqual({ state: 'succeeded', result: 'b2' });
    const last = first(await agent.claim());
    expect(last).toMatchObject({ taskKey: 't2', attempt: 2 });
    await agent.succeed(last, 'c2');
    expect(await stateOf(runId)).toBe('succeeded');
    expect(await control().attempts(runId, 't2')).toMatchObject([
      { attempt: 1, state: 'succeeded', resultBytes: 3 },
      { attempt: 2, state: 'succeeded', resultBytes: 4 },
    ]);
  });

  it('shows with a dry run what would happen, what lies behind it, and changes nothing', async () => {
    const agent = await define('shown', chain(3));
    const runId = await trigger(stand.orchestrator, 'shown');
    await workOff(agent);
    const request = { tasks: ['t0'], dryRun: true };
    expect(await control().clear(runId, request, ACTOR)).toMatchObject({
      dryRun: true,
      runs: [{ from: 'succeeded', to: 'queued', tasks: [{ key: 't0', to: 'ready' }] }],
      downstream: {
        tasks: [
          { runId, key: 't1' },
          { runId, key: 't2' },
        ],
      },
      counts: { tasks: 1, downstreamTasks: 2 },
    });
    expect(await stateOf(runId)).toBe('succeeded');
    expect(await statesOf(runId)).toMatchObject({ t0: 'succeeded 1' });
    expect(await control().actions(runId)).toEqual([]);
  });

  it('decides anew what never ran because of them, and leaves alone what did', async () => {
    const agent = await define('anew', [
      { key: 'bad' },
      { key: 'after', after: ['bad'] },
      { key: 'end', after: ['after'] },
      { key: 'other' },
    ]);
    const runId = await trigger(stand.orchestrator, 'anew');
    const [one, two] = [first(await agent.claim(1)), first(await agent.claim(1))];
    for (const task of [one, two]) {
      await (task.taskKey === 'bad' ? agent.fail(task) : agent.succeed(task));
    }
    expect(await stateOf(runId)).toBe('failed');
    const effect = await control().clear(
      runId,
      { onlyFailed: true, tasks: ['bad', 'other'] },
      ACTOR,
    );
    expect(effect.runs[0]?.tasks.map(({ key, reason }) => `${key} ${reason}`)).toEqual([
      'bad selected',
      'after decided-anew',
      'end decided-anew',
    ]);
    expect(await workOff(agent)).toEqual(['bad', 'after', 'end']);
    expect(await stateOf(runId)).toBe('succeeded');
  });

  it('never waits for what has failed before: such a task ends as upstream-failed at once', async () => {
    const agent = await define('blocked', chain(2));
    const runId = await trigger(stand.orchestrator, 'blocked');
    await agent.fail(first(await agent.claim()));
    const effect = await control().clear(runId, { tasks: ['t1'] }, ACTOR);
    expect(effect.counts).toMatchObject({ runs: 0, tasks: 0 });
    expect(await stateOf(runId)).toBe('failed');
    expect(await agent.claim()).toEqual([]);
  });

  it('waits for room where the workflow may have no more runs at work', async () => {
    const agent = await define('roomy', chain(1), { maxActiveRuns: 1 });
    const done = await trigger(stand.orchestrator, 'roomy');
    await workOff(agent);
    const other = await trigger(stand.orchestrator, 'roomy');
    const effect = await control().clear(done, {}, ACTOR);
    expect(effect.runs).toMatchObject([{ from: 'succeeded', to: 'scheduled' }]);
    expect((await agent.claim()).map(({ runId }) => runId)).toEqual([other]);
    await stand.orchestrator.runs.cancel(other, 'room', ACTOR);
    await stand.reconcile('lease-reaper');
  });

  it('names what there is where a task is unknown, and refuses runs of other engines and none at all', async () => {
    const agent = await define('unknown', chain(2));
    const runId = await trigger(stand.orchestrator, 'unknown');
    await workOff(agent);
    await expect(control().clear(runId, { tasks: ['t9'] }, ACTOR)).rejects.toMatchObject({
      code: 'not-found',
      detail: 'the run has no task "t9"; it has t0, t1',
    });
    await expect(control().clear(crypto.randomUUID(), {}, ACTOR)).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  it('keeps the run’s result where its last task is not run again', async () => {
    const agent = await define('resulting', chain(2));
    const runId = await trigger(stand.orchestrator, 'resulting');
    await agent.succeed(first(await agent.claim()), 1);
    await agent.succeed(first(await agent.claim()), 'answer');
    await control().clear(runId, { tasks: ['t0'] }, ACTOR);
    await workOff(agent);
    const never = new AbortController().signal;
    const { agents } = stand.orchestrator;
    expect(await agents.waitRun(agent.sessionId, runId, 0, never)).toMatchObject({
      run: { state: 'succeeded' },
      result: 'answer',
    });
  });
});

describe('clearing tasks of a run that goes on', () => {
  it('leaves alone what is running unless it is forced, and then fences it', async () => {
    const agent = await define('forced', chain(2));
    const runId = await trigger(stand.orchestrator, 'forced');
    const old = first(await agent.claim());
    await expect(control().clear(runId, { tasks: ['t0'] }, ACTOR)).rejects.toMatchObject({
      code: 'conflict',
      detail: 't0 is running: wait, or clear with force, which stops what runs',
    });
    const effect = await control().clear(runId, { tasks: ['t0'], force: true }, ACTOR);
    expect(effect.counts).toMatchObject({ rerun: 1, stopped: 1 });
    expect((await agent.beat()).cancel).toEqual([
      { runId, taskKey: 't0', token: old.token, reason: 'clear by token:test' },
    ]);
    expect(await agent.succeed(old, 'stale')).toBe('lease-lost');
    const next = first(await agent.claim());
    expect(next).toMatchObject({ taskKey: 't0', attempt: 2 });
    await agent.succeed(next, 'fresh');
    await workOff(agent);
    expect(await stateOf(runId)).toBe('succeeded');
    expect(await control().attempts(runId, 't0')).toMatchObject([
      { attempt: 1, state: 'cancelled', error: { name: 'Cancelled' } },
      { attempt: 2, state: 'succeeded' },
    ]);
  });

  it('lets a task that waits for its retry begin at once, with all its retries', async () => {
    const agent = await define('patient', [{ key: 'a', retries: 1, retryDelayMs: 3_600_000 }]);
    const runId = await trigger(stand.orchestrator, 'patient');
    await agent.fail(first(await agent.claim()));
    expect(await statesOf(runId)).toEqual({ a: 'retrying 2' });
    await control().clear(runId, { tasks: ['a'] }, ACTOR);
    const again = first(await agent.claim());
    expect(again.attempt).toBe(2);
    await agent.fail(again);
    expect(await statesOf(runId)).toEqual({ a: 'retrying 3' });
    await stand.orchestrator.runs.cancel(runId, 'over', ACTOR);
  });

  it('is right whichever comes first, the completion or the clear', async () => {
    const agent = await define('raced', chain(2));
    const races = 12;
    const runs = await Promise.all(
      Array.from({ length: races }, () => trigger(stand.orchestrator, 'raced')),
    );
    const held = new Map((await agent.claim()).map((task) => [task.runId, task]));
    await Promise.all(
      runs.map(async (runId) => {
        const old = held.get(runId) as Assignment;
        const [reply] = await Promise.all([
          agent.complete([ended(old, 'succeeded')], 1),
          control().clear(runId, { tasks: ['t0'], downstream: true, force: true }, ACTOR),
        ]);
        expect(['recorded', 'lease-lost']).toContain(reply.outcomes[0]?.outcome);
        // A successor that was handed on and then cleared is fenced as well.
        for (const task of reply.assignments) await agent.succeed(task);
      }),
    );
    await workOff(agent);
    for (const runId of runs) {
      expect(await stateOf(runId)).toBe('succeeded');
      const attempts = await control().attempts(runId, 't0');
      expect(attempts.at(-1)).toMatchObject({ state: 'succeeded' });
      expect(attempts.map(({ attempt }) => attempt)).toEqual([1, 2]);
    }
    expect(await stand.sql('SELECT FROM signalbox.task_live WHERE queue = $1', ['raced'])).toEqual(
      [],
    );
  });
});

describe('clearing many runs', () => {
  it('takes those of a span of logical dates, a bounded number a call, and says whom it left alone', async () => {
    const agent = await define('many', chain(2));
    const days = [1, 2, 3, 4, 5];
    for (const day of days) {
      await trigger(stand.orchestrator, 'many', { logicalDate: `2026-03-0${day}T00:00:00Z` });
    }
    await workOff(agent);
    const late = await trigger(stand.orchestrator, 'many', { logicalDate: '2026-03-04T00:00:00Z' });
    const running = first(await agent.claim());
    const span = {
      workflow: 'many',
      from: '2026-03-02T00:00:00Z',
      to: '2026-03-05T00:00:00Z',
      limit: 2,
    };
    const shown = await control().clearMany(span, { dryRun: true }, ACTOR);
    expect(shown).toMatchObject({ counts: { runs: 2, tasks: 4 } });
    expect(shown.nextCursor).not.toBeNull();
    const one = await control().clearMany(span, {}, ACTOR);
    const two = await control().clearMany({ ...span, cursor: one.nextCursor ?? '' }, {}, ACTOR);
    expect(two).toMatchObject({
      nextCursor: null,
      counts: { runs: 1, refused: 1 },
      refused: [{ runId: late, reason: expect.stringContaining('t0 is running') }],
    });
    const dates = [...one.runs, ...two.runs].map(({ logicalDate }) => logicalDate?.slice(0, 10));
    expect(dates).toEqual(['2026-03-02', '2026-03-03', '2026-03-04']);
    await agent.succeed(running);
    expect((await workOff(agent)).filter((key) => key === 't0')).toHaveLength(3);
  });
});
