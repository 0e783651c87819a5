import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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

const control = () => stand.orchestrator.runControl;
const runOf = (runId: string) => stand.orchestrator.runs.get(runId);

async function define(name: string, tasks: Parameters<typeof workflow>[1], more = {}) {
  const definition = workflow(name, tasks, { queue: name, ...more });
  return registerAgent(stand.orchestrator, { queues: [name], definitions: [definition] });
}

describe('a paused run', () => {
  it('starts nothing new while what runs goes on, and goes on exactly there once it is resumed', async () => {
    const agent = await define('paused', chain(3));
    const runId = await trigger(stand.orchestrator, 'paused');
    const running = first(await agent.claim());
    await control().pause(runId, {}, ACTOR);
    const run = await runOf(runId);
    expect(run).toMatchObject({ state: 'running', pausedBy: 'token:test' });
    expect(run.pausedAt).toMatch(/Z$/);
    const reply = await agent.complete([ended(running, 'succeeded', { result: 1 })], 5);
    expect(reply).toMatchObject({ outcomes: [{ outcome: 'recorded' }], assignments: [] });
    expect(await agent.claim()).toEqual([]);
    expect((await stand.orchestrator.runs.tasks(runId)).map(({ state }) => state)).toEqual([
      ...['succeeded', 'ready', 'pending'],
    ]);
    expect((await control().pause(runId, {}, ACTOR)).counts.runs).toBe(0);
    await control().resume(runId, {}, ACTOR);
    expect(await runOf(runId)).not.toHaveProperty('pausedAt');
    expect(await workOff(agent)).toEqual(['t1', 't2']);
    expect((await runOf(runId)).state).toBe('succeeded');
    expect((await control().actions(runId)).map(({ action }) => action)).toEqual([
      ...['resume', 'pause'],
    ]);
  });

  it('keeps retries that come due waiting, with the attempts that they have', async () => {
    const agent = await define('due', [{ key: 'a', retries: 2, retryDelayMs: 1 }]);
    const runId = await trigger(stand.orchestrator, 'due');
    const running = first(await agent.claim());
    await control().pause(runId, {}, ACTOR);
    await agent.fail(running);
    await stand.reconcile('retries');
    expect(await agent.claim()).toEqual([]);
    expect(await stand.orchestrator.runs.tasks(runId)).toMatchObject([
      { state: 'retrying', attempt: 2 },
    ]);
    await control().resume(runId, {}, ACTOR);
    await stand.reconcile('retries');
    const again = first(await agent.claim());
    expect(again.attempt).toBe(2);
    await agent.succeed(again);
  });

  it('that waits for room is passed over, and takes its turn once it is resumed', async () => {
    const agent = await define('queued-up', chain(1), { maxActiveRuns: 1 });
    const one = await trigger(stand.orchestrator, 'queued-up');
    const two = await trigger(stand.orchestrator, 'queued-up');
    const three = await trigger(stand.orchestrator, 'queued-up');
    await control().pause(two, {}, ACTOR);
    await agent.succeed(first(await agent.claim()));
    await stand.reconcile('run-promoter');
    const next = first(await agent.claim());
    expect(next.runId).toBe(three);
    await control().resume(two, {}, ACTOR);
    await agent.succeed(next);
    await stand.reconcile('run-promoter');
    expect(first(await agent.claim()).runId).toBe(two);
    expect((await runOf(one)).state).toBe('succeeded');
  });

  it('that is not begun starts when it is resumed; one that is over or being cancelled is refused', async () => {
    const agent = await define('unbegun', chain(1));
    const runId = await trigger(stand.orchestrator, 'unbegun');
    await control().pause(runId, {}, ACTOR);
    expect(await agent.claim()).toEqual([]);
    await control().clear(runId, { tasks: ['t0'] }, ACTOR);
    expect(await agent.claim()).toEqual([]);
    await control().resume(runId, {}, ACTOR);
    const running = first(await agent.claim());
    await stand.orchestrator.runs.cancel(runId, 'no', ACTOR);
    await expect(control().pause(runId, {}, ACTOR)).rejects.toMatchObject({ code: 'conflict' });
    await agent.fail(running);
    await expect(control().resume(runId, {}, ACTOR)).rejects.toMatchObject({
      ...{ code: 'conflict', detail: 'the run is cancelled' },
    });
  });

  it('can be cancelled as it is', async () => {
    const agent = await define('paused-cancelled', chain(2));
    const runId = await trigger(stand.orchestrator, 'paused-cancelled');
    await control().pause(runId, {}, ACTOR);
    expect((await stand.orchestrator.runs.cancel(runId, 'no', ACTOR)).state).toBe('cancelled');
    expect(await agent.claim()).toEqual([]);
  });

  it('gets back nothing to claim from an agent that stops meanwhile', async () => {
    const agent = await define('stopping', chain(1));
    const runId = await trigger(stand.orchestrator, 'stopping');
    await agent.claim();
    await control().pause(runId, {}, ACTOR);
    await agent.stop();
    const other = await registerAgent(stand.orchestrator, { queues: ['stopping'] });
    expect(await other.claim()).toEqual([]);
    await control().resume(runId, {}, ACTOR);
    expect(await workOff(other)).toEqual(['t0']);
    expect((await runOf(runId)).state).toBe('succeeded');
  });
});
