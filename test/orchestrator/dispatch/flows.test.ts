import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Assignment, StepRecord } from '../../../domain/agent-protocol.ts';
import {
  ended,
  first,
  type HandAgent,
  registerAgent,
  type Stand,
  startStand,
  trigger,
  workflow,
  workOff,
} from './stand.ts';

const ACTOR = { name: 'token:test' };
const never = new AbortController().signal;
let stand: Stand;
let agent: HandAgent;
beforeAll(async () => {
  stand = await startStand();
  agent = await registerAgent(stand.orchestrator, {
    queues: ['flows'],
    definitions: [
      workflow('outer', [], { kind: 'flow', queue: 'flows' }),
      workflow('inner', [], { kind: 'flow', queue: 'inner' }),
    ],
  });
});
afterAll(() => stand[Symbol.asyncDispose]());

function step(
  { runId, token }: Assignment,
  key: string,
  more: Partial<StepRecord> = {},
): StepRecord {
  return {
    ...{ runId, token, key, state: 'succeeded', result: key, startedAt: 1, finishedAt: 2 },
    ...more,
  };
}

async function startFlow() {
  await trigger(stand.orchestrator, 'outer');
  return first(await agent.claim(1));
}

describe('flows', () => {
  it('are one task of their name, whose result is the run’s', async () => {
    const flow = await startFlow();
    expect(flow).toMatchObject({ kind: 'flow', taskKey: 'outer' });
    await agent.succeed(flow, { sum: 30 });
    const { run, result } = await stand.orchestrator.agents.waitRun(
      agent.sessionId,
      flow.runId,
      0,
      never,
    );
    expect(run.state).toBe('succeeded');
    expect(result).toEqual({ sum: 30 });
  });

  it('record each step once, tell them again for a replay, and show them as tasks', async () => {
    const { agents, runs } = stand.orchestrator;
    const flow = await startFlow();
    const outcomes = await agents.recordSteps(agent.sessionId, [
      step(flow, 'a'),
      step(flow, 'a', { result: 'second' }),
      step(flow, 'b', {
        result: null,
        state: 'failed',
        error: { name: 'Error', message: 'no' },
        finishedAt: 3,
      }),
      step({ ...flow, token: '1' }, 'c'),
    ]);
    expect(outcomes.map(({ outcome }) => outcome)).toEqual([
      'recorded',
      'already-recorded',
      'recorded',
      'lease-lost',
    ]);
    expect(await agents.recordSteps(agent.sessionId, [step(flow, 'a')])).toMatchObject([
      { outcome: 'already-recorded' },
    ]);
    expect(await agents.steps(agent.sessionId, flow.runId)).toEqual([
      { key: 'a', state: 'succeeded', result: 'a', error: null },
      { key: 'b', state: 'failed', result: null, error: { name: 'Error', message: 'no' } },
    ]);
    expect((await runs.tasks(flow.runId)).map(({ key, state }) => [key, state])).toEqual([
      ['outer', 'running'],
      ['a', 'succeeded'],
      ['b', 'failed'],
    ]);
  });

  it('start a subflow once under its key, wait for its end, and take it along when they are cancelled', async () => {
    const { agents, runs } = stand.orchestrator;
    const flow = await startFlow();
    const request = {
      runId: flow.runId,
      token: flow.token,
      key: 'sub',
      workflow: 'inner',
      parameters: { n: 1 },
    };
    const child = await agents.startSubflow(agent.sessionId, request);
    expect(child).toMatchObject({
      parentRunId: flow.runId,
      trigger: 'subflow',
      parameters: { n: 1 },
    });
    expect(await agents.startSubflow(agent.sessionId, request)).toMatchObject({ id: child.id });
    await expect(
      agents.startSubflow(agent.sessionId, { ...request, token: '1' }),
    ).rejects.toMatchObject({ code: 'lease-lost' });
    const waiting = agents.waitRun(agent.sessionId, child.id, 20_000, never);
    const inner = await registerAgent(stand.orchestrator, { queues: ['inner'] });
    await workOff(inner);
    expect(await waiting).toMatchObject({ run: { state: 'succeeded' }, result: 'inner' });
    const second = await agents.startSubflow(agent.sessionId, { ...request, key: 'other' });
    await runs.cancel(flow.runId, 'enough', ACTOR);
    expect((await runs.get(second.id)).state).toBe('cancelled');
    await agent.complete([ended(flow, 'cancelled')]);
  });
});
