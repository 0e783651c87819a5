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

const statesOf = async (runId: string) =>
  Object.fromEntries(
    (await stand.orchestrator.runs.tasks(runId)).map(({ key, state }) => [key, state]),
  );

describe('completions', () => {
  it('records a completion that is sent twice once, also in one call', async () => {
    const { orchestrator } = stand;
    const agent = await registerAgent(orchestrator, {
      queues: ['twice'],
      definitions: [workflow('twice', chain(2), { queue: 'twice' })],
    });
    await trigger(orchestrator, 'twice');
    const task = first(await agent.claim());
    const completion = ended(task, 'succeeded', { result: 1 });
    const reply = await agent.complete([completion, completion]);
    expect(reply.outcomes.map(({ outcome }) => outcome).sort()).toEqual([
      'already-recorded',
      'recorded',
    ]);
    expect(await agent.succeed(task, 2)).toBe('already-recorded');
    expect(await workOff(agent)).toEqual(['t1']);
    const [task0] = await orchestrator.runs.tasks(task.runId);
    expect(task0).toMatchObject({ result: 1, attempt: 1 });
  });

  it('refuses a token that does not hold the task, and a task that does not exist', async () => {
    const { orchestrator } = stand;
    const agent = await registerAgent(orchestrator, {
      queues: ['wrong'],
      definitions: [workflow('wrong', chain(1), { queue: 'wrong' })],
    });
    const runId = await trigger(orchestrator, 'wrong');
    const task = first(await agent.claim());
    expect(await agent.succeed({ ...task, token: '12345' })).toBe('lease-lost');
    expect(await agent.succeed({ ...task, token: 'x' })).toBe('lease-lost');
    expect(await agent.succeed({ ...task, taskKey: 'nothing' })).toBe('lease-lost');
    expect(await agent.succeed({ ...task, runId: crypto.randomUUID() })).toBe('lease-lost');
    expect((await orchestrator.runs.get(runId)).state).toBe('running');
    expect(await agent.succeed(task)).toBe('recorded');
    expect((await orchestrator.runs.get(runId)).state).toBe('succeeded');
  });

  it('tries a failed task again after its delay, and fails the run when no retry is left', async () => {
    const { orchestrator } = stand;
    const definition = workflow(
      'again',
      [
        { key: 'a', retries: 2, retryDelayMs: 60, retryBackoff: 2 },
        { key: 'b', after: ['a'] },
      ],
      { queue: 'again' },
    );
    const agent = await registerAgent(orchestrator, {
      queues: ['again'],
      definitions: [definition],
    });
    const runId = await trigger(orchestrator, 'again');
    const waits: number[] = [];
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      const from = performance.now();
      const task = first(await agent.claim(1, 10_000));
      waits.push(performance.now() - from);
      expect(task.attempt).toBe(attempt);
      expect(await agent.fail(task)).toBe('recorded');
      if (attempt < 3) expect((await orchestrator.runs.get(runId)).state).toBe('retrying');
    }
    expect(waits[1]).toBeGreaterThan(50);
    expect(waits[2]).toBeGreaterThan(110);
    expect(await orchestrator.runs.get(runId)).toMatchObject({
      state: 'failed',
      error: { name: 'Error', message: 'a: it broke' },
    });
    expect(await statesOf(runId)).toEqual({ a: 'failed', b: 'upstream-failed' });
  });

  it('does not retry a failure that is final, and lets other branches go on', async () => {
    const { orchestrator } = stand;
    const definition = workflow(
      'branches',
      [
        { key: 'bad', retries: 5 },
        { key: 'after-bad', after: ['bad'] },
        { key: 'far', after: ['after-bad', 'good'] },
        { key: 'good' },
        { key: 'after-good', after: ['good'] },
      ],
      { queue: 'branches' },
    );
    const agent = await registerAgent(orchestrator, {
      queues: ['branches'],
      definitions: [definition],
    });
    const runId = await trigger(orchestrator, 'branches');
    const tasks = await agent.claim();
    const bad = first(tasks.filter(({ taskKey }) => taskKey === 'bad'));
    const good = first(tasks.filter(({ taskKey }) => taskKey === 'good'));
    await agent.fail(bad, { final: true });
    expect((await orchestrator.runs.get(runId)).state).toBe('running');
    await agent.succeed(good);
    expect(await workOff(agent)).toEqual(['after-good']);
    expect((await orchestrator.runs.get(runId)).state).toBe('failed');
    expect(await statesOf(runId)).toEqual({
      bad: 'failed',
      'after-bad': 'upstream-failed',
      far: 'upstream-failed',
      good: 'succeeded',
      'after-good': 'succeeded',
    });
  });

  it('goes on with completions of many runs at once from two servers', async () => {
    const { orchestrator } = stand;
    const other = await stand.another();
    const definition = workflow('many', chain(6), { queue: 'many' });
    const agents = [
      await registerAgent(orchestrator, { queues: ['many'], definitions: [definition] }),
      await registerAgent(other, { queues: ['many'] }),
    ];
    await orchestrator.runs.triggerBatch(
      'many',
      Array.from({ length: 200 }, () => ({})),
      {
        name: 'token:test',
      },
    );
    const done = await Promise.all(agents.map((agent) => workOff(agent, 200)));
    expect(done.flat().length).toBe(1_200);
    await waitFor(async () => {
      const { items } = await orchestrator.runs.list({
        workflow: 'many',
        state: 'succeeded',
        limit: 1_000,
      });
      return items.length === 200;
    });
    expect(await stand.sql('SELECT FROM signalbox.task_live WHERE queue = $1', ['many'])).toEqual(
      [],
    );
  });

  it('lets two agents on two servers share one dense run without an error', async () => {
    const { orchestrator } = stand;
    const other = await stand.another();
    const tasks = Array.from({ length: 30 }, (_, layer) =>
      Array.from({ length: 20 }, (_, index) => ({
        key: `t${layer}-${index}`,
        after: layer === 0 ? [] : [`t${layer - 1}-${index}`, `t${layer - 1}-${(index + 7) % 20}`],
      })),
    ).flat();
    const definition = workflow('dense', tasks, { queue: 'dense' });
    const agents = [
      await registerAgent(orchestrator, { queues: ['dense'], definitions: [definition] }),
      await registerAgent(other, { queues: ['dense'] }),
    ];
    const runId = await trigger(orchestrator, 'dense');
    const done = await Promise.all(agents.map((agent) => workOff(agent, 300)));
    expect(new Set(done.flat()).size).toBe(600);
    expect(done.flat().length).toBe(600);
    expect((await orchestrator.runs.get(runId)).state).toBe('succeeded');
    expect(stand.logged.filter((line) => line.includes('failed'))).toEqual([]);
  });
});
