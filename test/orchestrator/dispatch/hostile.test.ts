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
} from './stand.ts';

let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

describe('odd input', () => {
  it('in a result or an error is kept as far as PostgreSQL can hold it, and hurts nothing beside it', async () => {
    const { orchestrator } = stand;
    const tasks = Array.from({ length: 4 }, (_, index) => ({ key: `t${index}` }));
    const agent = await registerAgent(orchestrator, {
      queues: ['odd'],
      definitions: [workflow('odd', tasks, { queue: 'odd' })],
    });
    const runId = await trigger(orchestrator, 'odd');
    const [a, b, c, d] = await agent.claim();
    if (!a || !b || !c || !d) throw new Error('four tasks were expected');
    const results = [
      'half \ud800 pair',
      '\\u0000 \\ud800 \0',
      { '\0key"\\': ['{', ',', 'NULL', '\ud83d\ude00'] },
    ];
    const replies = await Promise.all([
      agent.complete([ended(a, 'succeeded', { result: results[0] })]),
      agent.complete([
        ended(b, 'succeeded', { result: results[1], startedAt: -1e300, finishedAt: 1e300 }),
      ]),
      agent.complete([ended(c, 'succeeded', { result: results[2], startedAt: Number.NaN })]),
      agent.complete([ended(d, 'failed', { error: { name: 'E\0', message: '\udfff"\\{}' } })]),
    ]);
    expect(replies.map(({ outcomes }) => outcomes[0]?.outcome)).toEqual(Array(4).fill('recorded'));
    const stored = new Map((await orchestrator.runs.tasks(runId)).map((task) => [task.key, task]));
    expect(stored.get(a.taskKey)?.result).toBe('half \ufffd pair');
    expect(stored.get(b.taskKey)?.result).toBe('\\u0000 \\ud800 \ufffd');
    expect(stored.get(c.taskKey)?.result).toEqual({
      '\ufffdkey"\\': ['{', ',', 'NULL', '\ud83d\ude00'],
    });
    expect(stored.get(d.taskKey)?.error?.message).toBe('\ufffd"\\{}');
  });

  it('as an id or a token names nothing', async () => {
    const { orchestrator } = stand;
    const { agents } = orchestrator;
    const agent = await registerAgent(orchestrator, {
      queues: ['names'],
      definitions: [workflow('names', chain(1), { queue: 'names' })],
    });
    await trigger(orchestrator, 'names');
    const task = first(await agent.claim());
    const odd = { ...task, runId: `'; --`, token: '99999999999999999999' };
    expect(await agent.succeed(odd)).toBe('lease-lost');
    expect(await agent.succeed({ ...task, token: odd.token })).toBe('lease-lost');
    expect(await agents.steps(agent.sessionId, odd.runId)).toEqual([]);
    await expect(agents.result(agent.sessionId, odd.runId, 'a')).rejects.toMatchObject({
      code: 'not-found',
    });
    const begin = { op: 'begin', key: 'k', onUnknown: 'repeat' } as const;
    for (const { runId, token } of [odd, { ...task, token: odd.token }]) {
      await expect(agents.once(agent.sessionId, { ...begin, runId, token })).rejects.toMatchObject({
        code: 'lease-lost',
      });
    }
    expect(await orchestrator.levers.runs.holdsLease(odd.runId)).toBe(false);
    expect(await orchestrator.levers.runs.heldSlots(odd.runId)).toBe(0);
    await expect(
      agents.claim('no session', { capacity: 1, waitMs: 0 }, new AbortController().signal),
    ).rejects.toMatchObject({ code: 'lease-lost' });
  });
});
