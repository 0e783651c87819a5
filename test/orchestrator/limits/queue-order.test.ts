/** A chain that is handed on from task to task leaves its slot when a higher queue of the same agent has work. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Assignment } from '../../../domain/agent-protocol.ts';
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
} from '../dispatch/stand.ts';

const ACTOR = { name: 'token:test' };
const LENGTH = 3_000;
let stand: Stand;
let agent: HandAgent;

beforeEach(async () => {
  stand = await startStand();
  agent = await registerAgent(stand.orchestrator, {
    queues: ['low', 'urgent'],
    definitions: [
      workflow('long', chain(LENGTH), { queue: 'low' }),
      workflow('urgent', chain(1), { queue: 'urgent' }),
      workflow('pooled', [{ key: 'only', pool: 'none-free' }], { queue: 'urgent' }),
    ],
  });
});
afterEach(() => stand[Symbol.asyncDispose]());

/** Ends a task, with one slot to fill. @returns what was handed on */
async function step(task: Assignment): Promise<Assignment | undefined> {
  const reply = await agent.complete([ended(task, 'succeeded')], 1);
  return reply.assignments[0];
}

/** Goes on with the chain until nothing is handed on, or so many tasks have ended. */
async function follow(from: Assignment, most: number): Promise<Assignment | undefined> {
  let task: Assignment | undefined = from;
  for (let done = 0; task && done < most; done += 1) task = await step(task);
  return task;
}

describe('a long chain of a queue', () => {
  it('leaves its slot to a higher queue of its agent as soon as that has work, and goes on after it', async () => {
    const { orchestrator } = stand;
    await orchestrator.queues.set('urgent', { priority: 10 }, ACTOR);
    await trigger(orchestrator, 'long');
    const second = await follow(first(await agent.claim(1)), 20);
    if (!second) throw new Error('the chain was not handed on');
    await trigger(orchestrator, 'urgent');
    expect(await follow(second, LENGTH - 100)).toBeUndefined();
    const urgent = first(await agent.claim(1));
    expect(urgent.workflow).toBe('urgent');
    await agent.succeed(urgent);
    const next = first(await agent.claim(1));
    expect(next.workflow).toBe('long');
    // Within one look of the queues it is handed on again.
    let handed: Assignment | undefined;
    for (let task: Assignment | undefined = next; task && !handed; ) {
      handed = await step(task);
      task = handed ?? (await agent.claim(1))[0];
    }
    expect(handed?.workflow).toBe('long');
  });

  it('is not interrupted for a queue that could start nothing, or that is not higher', async () => {
    const { orchestrator } = stand;
    await orchestrator.pools.set('none-free', { max: 0 }, ACTOR);
    await orchestrator.queues.set('urgent', { priority: 10 }, ACTOR);
    await trigger(orchestrator, 'pooled');
    await trigger(orchestrator, 'long');
    const task = await follow(first(await agent.claim(1)), 100);
    expect(task?.workflow).toBe('long');
    if (!task) throw new Error('the chain was not handed on');
    await orchestrator.queues.set('urgent', { priority: 10, paused: true }, ACTOR);
    await trigger(orchestrator, 'urgent');
    const later = await follow(task, 100);
    expect(later?.workflow).toBe('long');
    if (!later) throw new Error('the chain was not handed on');
    await orchestrator.queues.set('urgent', { priority: -10, paused: false }, ACTOR);
    expect((await follow(later, 100))?.workflow).toBe('long');
  });
});
