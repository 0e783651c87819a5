import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TaskDefinition } from '../../../domain/agent-protocol.ts';
import {
  chain,
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

async function define(name: string, tasks: Tasks, more = {}): Promise<HandAgent> {
  const definition = workflow(name, tasks, { queue: name, ...more });
  return registerAgent(stand.orchestrator, { queues: [name], definitions: [definition] });
}

const control = () => stand.orchestrator.runControl;
const runOf = (runId: string) => stand.orchestrator.runs.get(runId);
const statesOf = async (runId: string) =>
  (await stand.orchestrator.runs.tasks(runId)).map(({ key, state }) => `${key} ${state}`);

describe('marking tasks', () => {
  it('as succeeded lets what comes after go on with the given result', async () => {
    const agent = await define('marked', chain(3));
    const runId = await trigger(stand.orchestrator, 'marked');
    await agent.fail(first(await agent.claim()));
    expect(await statesOf(runId)).toEqual([
      't0 failed',
      't1 upstream-failed',
      't2 upstream-failed',
    ]);
    const effect = await control().mark(
      runId,
      { as: 'succeeded', tasks: ['t0'], result: { rows: 3 }, reason: 'loaded by hand' },
      ACTOR,
    );
    expect(effect.runs[0]).toMatchObject({ from: 'failed', to: 'queued' });
    expect(effect.runs[0]?.tasks).toMatchObject([
      { key: 't0', from: 'failed', to: 'succeeded', reason: 'selected' },
      { key: 't1', from: 'upstream-failed', to: 'ready', reason: 'decided-anew' },
      { key: 't2', from: 'upstream-failed', to: 'pending', reason: 'decided-anew' },
    ]);
    expect(await stand.orchestrator.agents.result(agent.sessionId, runId, 't0')).toEqual({
      ...{ state: 'succeeded', result: { rows: 3 } },
    });
    expect(await workOff(agent)).toEqual(['t1', 't2']);
    expect((await runOf(runId)).state).toBe('succeeded');
    expect(await control().actions(runId)).toMatchObject([
      {
        action: 'mark',
        actor: 'token:test',
        reason: 'loaded by hand',
        detail: { as: 'succeeded' },
      },
    ]);
  });

  it('that run cancels their attempts and fences them', async () => {
    const agent = await define('fenced', chain(2));
    const runId = await trigger(stand.orchestrator, 'fenced');
    const old = first(await agent.claim());
    const effect = await control().mark(runId, { as: 'succeeded', tasks: ['t0'] }, ACTOR);
    expect(effect.runs[0]?.tasks).toMatchObject([
      { key: 't0', from: 'running', to: 'succeeded', stopped: true },
      { key: 't1', from: 'pending', to: 'ready', reason: 'can-start' },
    ]);
    expect((await agent.beat()).cancel).toMatchObject([{ taskKey: 't0', token: old.token }]);
    expect(await agent.fail(old)).toBe('lease-lost');
    expect(await workOff(agent)).toEqual(['t1']);
    expect((await runOf(runId)).state).toBe('succeeded');
    expect(await control().attempts(runId, 't0')).toMatchObject([
      { attempt: 1, state: 'succeeded', agent: 'hand' },
    ]);
  });

  it('as failed ends what needs them, and the run says who did it', async () => {
    const agent = await define('given-up', [{ key: 'a' }, { key: 'b', after: ['a'] }]);
    const runId = await trigger(stand.orchestrator, 'given-up');
    await control().mark(runId, { as: 'failed', tasks: ['a'], reason: 'wrong file' }, ACTOR);
    expect(await agent.claim()).toEqual([]);
    expect(await statesOf(runId)).toEqual(['a failed', 'b upstream-failed']);
    expect(await runOf(runId)).toMatchObject({
      state: 'failed',
      error: { message: 'a: marked as failed by token:test: wrong file' },
    });
  });

  it('of an ended run as failed fails the run, and again as succeeded mends it without a run', async () => {
    const agent = await define('turned', chain(2));
    const runId = await trigger(stand.orchestrator, 'turned');
    await workOff(agent);
    await control().mark(runId, { as: 'failed', tasks: ['t1'] }, ACTOR);
    expect((await runOf(runId)).state).toBe('failed');
    await control().mark(runId, { as: 'succeeded', tasks: ['t1'] }, ACTOR);
    expect(await runOf(runId)).toMatchObject({ state: 'succeeded', error: null });
    expect(await agent.claim()).toEqual([]);
  });

  it('twice is once, and needs one task for a result', async () => {
    const agent = await define('twice', chain(2));
    const runId = await trigger(stand.orchestrator, 'twice');
    const request = { as: 'succeeded' as const, tasks: ['t0'] };
    await control().mark(runId, request, ACTOR);
    expect((await control().mark(runId, request, ACTOR)).counts.tasks).toBe(0);
    const wrong = { as: 'failed' as const, tasks: ['t1'], result: 1 };
    await expect(control().mark(runId, wrong, ACTOR)).rejects.toMatchObject({
      code: 'invalid-request',
    });
    await workOff(agent);
  });
});

describe('marking a run', () => {
  it('as succeeded ends it at once and stops what runs', async () => {
    const agent = await define('enough', chain(3));
    const runId = await trigger(stand.orchestrator, 'enough');
    const old = first(await agent.claim());
    const shown = await control().mark(runId, { as: 'succeeded', dryRun: true }, ACTOR);
    expect(shown.counts).toMatchObject({ tasks: 3, stopped: 1, rerun: 0 });
    expect((await runOf(runId)).state).toBe('running');
    await control().mark(runId, { as: 'succeeded' }, ACTOR);
    expect((await runOf(runId)).state).toBe('succeeded');
    expect(await agent.succeed(old)).toBe('lease-lost');
    expect(await stand.orchestrator.levers.runs.heldSlots(runId)).toBe(0);
    expect(await statesOf(runId)).toEqual(['t0 succeeded', 't1 succeeded', 't2 succeeded']);
  });

  it('as failed keeps what succeeded; a retry then does the rest', async () => {
    const agent = await define('enough-failed', chain(3));
    const runId = await trigger(stand.orchestrator, 'enough-failed');
    await agent.succeed(first(await agent.claim()));
    const old = first(await agent.claim());
    await control().mark(runId, { as: 'failed', reason: 'too late' }, ACTOR);
    expect(await runOf(runId)).toMatchObject({
      state: 'failed',
      error: { name: 'MarkedFailed', message: 'marked as failed by token:test: too late' },
    });
    expect(await statesOf(runId)).toEqual(['t0 succeeded', 't1 failed', 't2 cancelled']);
    expect(await agent.succeed(old)).toBe('lease-lost');
    await stand.orchestrator.runs.retry(runId, ACTOR);
    expect(await workOff(agent)).toEqual(['t1', 't2']);
    expect((await runOf(runId)).state).toBe('succeeded');
  });

  it('that waits for room gives its place to none and ends all the same', async () => {
    const agent = await define('waits-marked', chain(1), { maxActiveRuns: 1 });
    const one = await trigger(stand.orchestrator, 'waits-marked');
    const two = await trigger(stand.orchestrator, 'waits-marked');
    await control().mark(two, { as: 'succeeded' }, ACTOR);
    expect((await runOf(two)).state).toBe('succeeded');
    expect(await workOff(agent)).toEqual(['t0']);
    expect((await runOf(one)).state).toBe('succeeded');
  });
});

describe('cancelling', () => {
  it('single tasks stops them, and what needs them never runs', async () => {
    const agent = await define('partly', [
      { key: 'a' },
      { key: 'b' },
      { key: 'after-a', after: ['a'] },
    ]);
    const runId = await trigger(stand.orchestrator, 'partly');
    const tasks = [first(await agent.claim(1)), first(await agent.claim(1))];
    const a = tasks.find(({ taskKey }) => taskKey === 'a');
    const b = tasks.find(({ taskKey }) => taskKey === 'b');
    if (!a || !b) throw new Error('both should run');
    const request = { tasks: ['a'], reason: 'wrong' };
    expect(await control().cancel(runId, request, ACTOR)).toMatchObject({ counts: { stopped: 1 } });
    expect((await control().cancel(runId, request, ACTOR)).counts.tasks).toBe(0);
    expect(await agent.succeed(a)).toBe('lease-lost');
    expect(await statesOf(runId)).toEqual(['a cancelled', 'b running', 'after-a upstream-failed']);
    await agent.succeed(b);
    expect((await runOf(runId)).state).toBe('failed');
  });

  it('many runs shows what it would do, then does it once', async () => {
    const agent = await define('crowd', chain(2));
    for (let at = 0; at < 3; at += 1) await trigger(stand.orchestrator, 'crowd');
    const running = first(await agent.claim(1));
    const selection = { workflow: 'crowd', states: ['queued', 'running'] as const };
    const shown = await control().cancelMany(selection, { dryRun: true }, ACTOR);
    expect(shown.counts).toMatchObject({ runs: 3, tasks: 6, stopped: 1 });
    expect((await runOf(running.runId)).state).toBe('running');
    await control().cancelMany(selection, { reason: 'stop' }, ACTOR);
    const again = await control().cancelMany({ workflow: 'crowd', states: ['queued'] }, {}, ACTOR);
    expect(again.counts.runs).toBe(0);
    expect((await agent.beat()).cancel).toMatchObject([{ reason: 'stop' }]);
    await agent.fail(running);
    expect((await runOf(running.runId)).state).toBe('cancelled');
  });
});

describe('running an ended run again', () => {
  it('from a task on runs that task, what follows, and whatever had failed', async () => {
    const agent = await define('from', [
      { key: 'a' },
      { key: 'b', after: ['a'] },
      { key: 'c', after: ['b'] },
      { key: 'apart' },
    ]);
    const runId = await trigger(stand.orchestrator, 'from');
    await workOff(agent);
    await expect(control().retry(runId, {}, ACTOR)).rejects.toMatchObject({ code: 'conflict' });
    const effect = await control().retry(runId, { from: 'b' }, ACTOR);
    expect(effect.counts).toMatchObject({ rerun: 2 });
    expect(await workOff(agent)).toEqual(['b', 'c']);
    await control().retry(runId, { all: true }, ACTOR);
    expect((await workOff(agent)).sort()).toEqual(['a', 'apart', 'b', 'c']);
    expect(await control().attempts(runId, 'c')).toHaveLength(3);
  });

  it('as a new run takes its parameters and date, and names it', async () => {
    const agent = await define('once-more', chain(1));
    const logicalDate = '2026-02-03T00:00:00Z';
    const parameters = { day: 3 };
    const runId = await trigger(stand.orchestrator, 'once-more', { logicalDate, parameters });
    await expect(control().rerun(runId, {}, ACTOR)).rejects.toMatchObject({ code: 'conflict' });
    await workOff(agent);
    const { run, created } = await control().rerun(runId, { idempotencyKey: 'again' }, ACTOR);
    expect(created).toBe(true);
    expect(run).toMatchObject({
      ...{ retryOf: runId, trigger: 'retry', parameters },
      logicalDate: '2026-02-03T00:00:00.000Z',
    });
    expect(await control().rerun(runId, { idempotencyKey: 'again' }, ACTOR)).toMatchObject({
      ...{ created: false, run: { id: run.id } },
    });
    expect(await workOff(agent)).toEqual(['t0']);
  });

  it('forgets the steps of a flow from one on, and those that began before stay', async () => {
    const agent = await define('steps', [], { kind: 'flow' });
    const runId = await trigger(stand.orchestrator, 'steps');
    const flow = first(await agent.claim());
    const at = Date.now();
    for (const [index, key] of ['one', 'two', 'three'].entries()) {
      await stand.orchestrator.agents.recordSteps(agent.sessionId, [
        {
          ...{ runId, token: flow.token, key, state: 'succeeded', result: key },
          ...{ startedAt: at + 10 * index, finishedAt: at + 10 * index + 5 },
        },
      ]);
    }
    await agent.succeed(flow, 'done');
    const shown = await control().retry(runId, { from: 'two', dryRun: true }, ACTOR);
    expect(shown.runs[0]?.stepsForgotten).toEqual(['two', 'three']);
    await control().retry(runId, { from: 'two' }, ACTOR);
    const steps = await stand.orchestrator.agents.steps(agent.sessionId, runId);
    expect(steps.map(({ key }) => key)).toEqual(['one']);
    await expect(control().retry(runId, { from: 'four' }, ACTOR)).rejects.toMatchObject({
      code: 'conflict',
    });
    await agent.succeed(first(await agent.claim()));
    await expect(control().retry(runId, { from: 'four' }, ACTOR)).rejects.toMatchObject({
      code: 'not-found',
    });
  });
});
