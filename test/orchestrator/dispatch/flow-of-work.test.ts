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
} from './stand.ts';

let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

describe('the flow of work', () => {
  it('runs a chain in order and keeps each result', async () => {
    const { orchestrator } = stand;
    const agent = await registerAgent(orchestrator, {
      queues: ['chain'],
      definitions: [workflow('chain', chain(3), { queue: 'chain' })],
    });
    const runId = await trigger(orchestrator, 'chain');
    expect(await workOff(agent)).toEqual(['t0', 't1', 't2']);
    const run = await orchestrator.runs.get(runId);
    expect(run).toMatchObject({ state: 'succeeded', workflow: 'chain', error: null });
    expect(run.startedAt).not.toBeNull();
    expect(run.finishedAt).not.toBeNull();
    const tasks = await orchestrator.runs.tasks(runId);
    expect(
      tasks.map(({ key, state, attempt, result, dependsOn }) => ({
        key,
        state,
        attempt,
        result,
        dependsOn,
      })),
    ).toEqual([
      { key: 't0', state: 'succeeded', attempt: 1, result: 't0', dependsOn: [] },
      { key: 't1', state: 'succeeded', attempt: 1, result: 't1', dependsOn: ['t0'] },
      { key: 't2', state: 'succeeded', attempt: 1, result: 't2', dependsOn: ['t1'] },
    ]);
    expect(await orchestrator.agents.result(agent.sessionId, runId, 't1')).toEqual({
      state: 'succeeded',
      result: 't1',
    });
  });

  it('hands what became ready to the agent that made it ready, and the rest to who claims', async () => {
    const { orchestrator } = stand;
    const tasks = [
      { key: 'root' },
      ...Array.from({ length: 5 }, (_, index) => ({ key: `leaf${index}`, after: ['root'] })),
    ];
    const agent = await registerAgent(orchestrator, {
      queues: ['fan'],
      definitions: [workflow('fan', tasks, { queue: 'fan' })],
    });
    await trigger(orchestrator, 'fan');
    const root = first(await agent.claim());
    const reply = await agent.complete([ended(root, 'succeeded')], 2);
    expect(reply.assignments.map(({ taskKey }) => taskKey)).toEqual(['leaf0', 'leaf1']);
    const other = await registerAgent(orchestrator, { queues: ['fan'] });
    expect((await other.claim()).map(({ taskKey }) => taskKey).sort()).toEqual([
      'leaf2',
      'leaf3',
      'leaf4',
    ]);
  });

  it('wakes a waiting claim when a run is triggered', async () => {
    const { orchestrator } = stand;
    const agent = await registerAgent(orchestrator, {
      queues: ['wake'],
      definitions: [workflow('wake', chain(1), { queue: 'wake' })],
    });
    const waiting = agent.claim(1, 20_000);
    const other = await stand.another();
    const runId = await trigger(other, 'wake');
    expect((await waiting).map((assignment) => assignment.runId)).toEqual([runId]);
    await waitFor(async () => (await orchestrator.runs.get(runId)).state === 'running');
  });
});
