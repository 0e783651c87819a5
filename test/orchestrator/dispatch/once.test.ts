import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Assignment, OnceRequest } from '../../../domain/agent-protocol.ts';
import {
  chain,
  first,
  type HandAgent,
  registerAgent,
  type Stand,
  startStand,
  trigger,
  workflow,
} from './stand.ts';

let stand: Stand;
let agent: HandAgent;
beforeAll(async () => {
  stand = await startStand();
  agent = await registerAgent(stand.orchestrator, { definitions: [workflow('once', chain(1))] });
});
afterAll(() => stand[Symbol.asyncDispose]());

async function holder(by: HandAgent = agent): Promise<Assignment> {
  await trigger(stand.orchestrator, 'once');
  return first(await by.claim(1));
}

const begin = (
  task: Assignment,
  key: string,
  onUnknown: 'repeat' | 'stop' = 'repeat',
  by = agent,
) =>
  stand.orchestrator.agents.once(by.sessionId, {
    op: 'begin',
    runId: task.runId,
    token: task.token,
    key,
    onUnknown,
  });
const finish = (task: Assignment, key: string, result: unknown) =>
  stand.orchestrator.agents.once(agent.sessionId, {
    op: 'finish',
    runId: task.runId,
    token: task.token,
    key,
    result,
  } satisfies OnceRequest);

/** The holder's process dies between the effect and its record. */
const kill = async (by: HandAgent) => {
  await stand.sql(
    `UPDATE signalbox.agent_session SET lease_expires_at = '2000-01-01' WHERE public_id = $1`,
    [by.sessionId],
  );
  await stand.reconcile('lease-reaper');
};

describe('ctx.once', () => {
  it('lets one holder at a time do the work, and shares its result', async () => {
    const [a, b] = [await holder(), await holder()];
    expect(await begin(a, 'k')).toEqual({ outcome: 'go' });
    expect(await begin(a, 'k')).toEqual({ outcome: 'go' });
    expect(await begin(b, 'k')).toMatchObject({ outcome: 'held' });
    expect(await finish(a, 'k', { rows: 3 })).toEqual({ outcome: 'recorded' });
    expect(await finish(a, 'k', { rows: 4 })).toEqual({ outcome: 'recorded' });
    expect(await begin(b, 'k')).toEqual({ outcome: 'done', result: { rows: 3 } });
    await expect(finish(b, 'k', 1)).rejects.toMatchObject({ code: 'lease-lost' });
  });

  it('lets another try after work that failed before its effect', async () => {
    const [a, b] = [await holder(), await holder()];
    await begin(a, 'f');
    await stand.orchestrator.agents.once(agent.sessionId, {
      op: 'fail',
      runId: a.runId,
      token: a.token,
      key: 'f',
    });
    expect(await begin(b, 'f')).toEqual({ outcome: 'go' });
  });

  it('is done again after a holder’s death where that may be, and never where it must not', async () => {
    const dying = await registerAgent(stand.orchestrator);
    const a = await holder(dying);
    await begin(a, 'repeat', 'repeat', dying);
    await begin(a, 'stop', 'stop', dying);
    const b = await holder();
    expect(await begin(b, 'repeat')).toMatchObject({ outcome: 'held' });
    await kill(dying);
    expect(await begin(b, 'repeat')).toEqual({ outcome: 'go' });
    expect(await begin(b, 'stop', 'stop')).toEqual({ outcome: 'unknown' });
    expect(await begin(b, 'stop', 'repeat')).toEqual({ outcome: 'unknown' });
  });

  it('is refused to who does not hold the task any more', async () => {
    const a = await holder();
    await agent.succeed(a);
    await expect(begin(a, 'gone')).rejects.toMatchObject({ code: 'lease-lost' });
  });
});
