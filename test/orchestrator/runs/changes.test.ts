import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../../support/wait-for.ts';
import {
  chain,
  ended,
  first,
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

const statesOf = async (runId: string) =>
  (await stand.orchestrator.runs.tasks(runId)).map(({ key, state, attempt }) => [
    key,
    state,
    attempt,
  ]);

describe('cancelling', () => {
  it('cancels at once what has not started, and the run only when its tasks have ended', async () => {
    const { orchestrator } = stand;
    const agent = await registerAgent(orchestrator, {
      queues: ['cancel'],
      definitions: [
        workflow('cancel', [{ key: 'a' }, { key: 'b' }, { key: 'c', after: ['a', 'b'] }], {
          queue: 'cancel',
        }),
      ],
    });
    const runId = await trigger(orchestrator, 'cancel');
    const task = first(await agent.claim(1));
    const waiting = orchestrator.agents.claim(
      agent.sessionId,
      { capacity: 0, waitMs: 10_000 },
      new AbortController().signal,
    );
    const run = await orchestrator.runs.cancel(runId, 'no longer needed', ACTOR);
    expect(run.state).toBe('running');
    expect(await orchestrator.levers.runs.heldSlots(runId)).toBe(1);
    expect(await orchestrator.levers.runs.holdsLease(runId)).toBe(true);
    const cancel = [{ runId, taskKey: 'a', token: task.token, reason: 'no longer needed' }];
    expect(await waiting).toEqual({ assignments: [], cancel });
    expect((await agent.beat()).cancel).toEqual(cancel);
    expect(await statesOf(runId)).toEqual([
      ['a', 'running', 1],
      ['b', 'cancelled', 0],
      ['c', 'cancelled', 0],
    ]);
    await agent.complete([ended(task, 'cancelled')]);
    expect(await orchestrator.runs.get(runId)).toMatchObject({
      state: 'cancelled',
      error: { name: 'Cancelled', message: 'no longer needed' },
    });
    expect(await orchestrator.levers.runs.heldSlots(runId)).toBe(0);
    expect((await agent.beat()).cancel).toEqual([]);
  });

  it('keeps the success of a task that ends after the request, and cancels the run all the same', async () => {
    const { orchestrator } = stand;
    const agent = await registerAgent(orchestrator, {
      queues: ['late'],
      definitions: [workflow('late', chain(2), { queue: 'late' })],
    });
    const runId = await trigger(orchestrator, 'late');
    const task = first(await agent.claim());
    await orchestrator.runs.cancel(runId, 'late', ACTOR);
    expect((await agent.complete([ended(task, 'succeeded')], 5)).assignments).toEqual([]);
    expect((await orchestrator.runs.get(runId)).state).toBe('cancelled');
    expect(await statesOf(runId)).toEqual([
      ['t0', 'succeeded', 1],
      ['t1', 'cancelled', 0],
    ]);
  });

  it('cancels a run that waits, again without effect, and refuses one that has succeeded', async () => {
    const { orchestrator } = stand;
    const agent = await registerAgent(orchestrator, {
      queues: ['waits'],
      definitions: [workflow('waits', chain(1), { queue: 'waits' })],
    });
    const runId = await trigger(orchestrator, 'waits');
    expect((await orchestrator.runs.cancel(runId, 'a', ACTOR)).state).toBe('cancelled');
    const again = await orchestrator.runs.cancel(runId, 'b', ACTOR);
    expect(again.error?.message).toBe('a');
    expect(await agent.claim()).toEqual([]);
    const done = await trigger(orchestrator, 'waits');
    await workOff(agent);
    await expect(orchestrator.runs.cancel(done, 'c', ACTOR)).rejects.toMatchObject({
      code: 'conflict',
    });
    await expect(orchestrator.runs.cancel('nonsense', 'c', ACTOR)).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  it('compares with what a runbook’s plan saw', async () => {
    const { orchestrator } = stand;
    const { runs } = orchestrator.levers;
    await registerAgent(orchestrator, {
      definitions: [workflow('plan', chain(1), { queue: 'plan' })],
    });
    const run = await runs.trigger('plan', {}, 'runbook-1');
    expect(run.trigger).toBe('runbook');
    expect(await runs.trigger('plan', {}, 'runbook-1')).toMatchObject({ id: run.id });
    expect(await runs.cancel(run.id, 'x', { states: ['running'] })).toMatchObject({
      outcome: 'state-changed',
    });
    expect(await runs.cancel(run.id, 'x', { states: ['queued'] })).toMatchObject({
      outcome: 'done',
      run: { state: 'cancelled' },
    });
    expect(await runs.cancel(run.id, 'x', { states: ['queued'] })).toMatchObject({
      outcome: 'already-so',
    });
    expect(await runs.get(crypto.randomUUID())).toBeNull();
    expect(
      (await runs.list({ businessKey: run.businessKey, states: ['cancelled'] })).map(
        ({ id }) => id,
      ),
    ).toEqual([run.id]);
  });
});

describe('retrying a run', () => {
  it('keeps what succeeded, goes on counting attempts, and allows the retries anew', async () => {
    const { orchestrator } = stand;
    const definition = workflow(
      'mended',
      [{ key: 'a' }, { key: 'b', after: ['a'], retries: 1 }, { key: 'c', after: ['b'] }],
      { queue: 'mended' },
    );
    const agent = await registerAgent(orchestrator, {
      queues: ['mended'],
      definitions: [definition],
    });
    const runId = await trigger(orchestrator, 'mended');
    await agent.succeed(first(await agent.claim()), 'kept');
    await agent.fail(first(await agent.claim()));
    await agent.fail(first(await agent.claim()));
    expect((await orchestrator.runs.get(runId)).state).toBe('failed');
    expect(await orchestrator.runs.retry(runId, ACTOR)).toMatchObject({
      id: runId,
      state: 'queued',
      finishedAt: null,
      error: null,
    });
    await expect(orchestrator.runs.retry(runId, ACTOR)).rejects.toMatchObject({ code: 'conflict' });
    const third = first(await agent.claim());
    expect(third).toMatchObject({ taskKey: 'b', attempt: 3 });
    await agent.fail(third);
    const fourth = first(await agent.claim());
    expect(fourth.attempt).toBe(4);
    await agent.succeed(fourth);
    await workOff(agent);
    expect((await orchestrator.runs.get(runId)).state).toBe('succeeded');
    expect(await statesOf(runId)).toEqual([
      ['a', 'succeeded', 1],
      ['b', 'succeeded', 4],
      ['c', 'succeeded', 1],
    ]);
    expect(await orchestrator.agents.result(agent.sessionId, runId, 'a')).toMatchObject({
      result: 'kept',
    });
    await expect(orchestrator.runs.retry(runId, ACTOR)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('runs again what was cancelled', async () => {
    const { orchestrator } = stand;
    const agent = await registerAgent(orchestrator, {
      queues: ['revived'],
      definitions: [workflow('revived', chain(2), { queue: 'revived' })],
    });
    const runId = await trigger(orchestrator, 'revived');
    await orchestrator.runs.cancel(runId, 'oops', ACTOR);
    await orchestrator.runs.retry(runId, ACTOR);
    expect(await workOff(agent)).toEqual(['t0', 't1']);
    expect((await orchestrator.runs.get(runId)).state).toBe('succeeded');
  });
});

describe('lists of runs', () => {
  it('are newest first, filtered by workflow, state and engine, and go on at the cursor', async () => {
    const { orchestrator } = stand;
    const agent = await registerAgent(orchestrator, {
      queues: ['listed'],
      definitions: [workflow('listed', chain(1), { queue: 'listed' })],
    });
    const made = await orchestrator.runs.triggerBatch(
      'listed',
      Array.from({ length: 7 }, () => ({})),
      ACTOR,
    );
    const ids = made.map(({ run }) => run.id).reverse();
    const task = first(await agent.claim(1));
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await orchestrator.runs.list({
        workflow: 'listed',
        limit: 3,
        ...(cursor ? { cursor } : {}),
      });
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.nextCursor ?? undefined;
    } while (cursor);
    expect(seen).toEqual(ids);
    const withState = async (state: string) =>
      (await orchestrator.runs.list({ workflow: 'listed', state })).items.map(({ id }) => id);
    expect(await withState('running')).toEqual([task.runId]);
    expect(await withState('queued')).toEqual(ids.filter((id) => id !== task.runId));
    await agent.succeed(task);
    expect(await withState('running')).toEqual([]);
    expect(await withState('succeeded')).toEqual([task.runId]);
    expect((await orchestrator.runs.list({ engine: 'airflow' })).items).toEqual([]);
    await expect(orchestrator.runs.list({ state: 'odd' })).rejects.toMatchObject({
      code: 'invalid-request',
    });
    await expect(orchestrator.runs.list({ cursor: 'odd' })).rejects.toMatchObject({
      code: 'invalid-cursor',
    });
  });

  it('tell listeners in every server what has changed', async () => {
    const { orchestrator } = stand;
    const other = await stand.another();
    const heard: string[] = [];
    const stop = other.onChange(({ topic, id }) => heard.push(`${topic} ${id}`));
    await registerAgent(orchestrator, {
      definitions: [workflow('heard', chain(1), { queue: 'heard' })],
    });
    const runId = await trigger(orchestrator, 'heard');
    await waitFor(() => heard.includes(`run ${runId}`) && heard.includes('workflow heard'));
    stop();
  });
});
