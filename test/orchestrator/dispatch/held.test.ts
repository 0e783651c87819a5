import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../../support/wait-for.ts';
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
} from './stand.ts';

const ACTOR = { name: 'token:test' };
let stand: Stand;
beforeAll(async () => {
  stand = await startStand({ leaseMs: 60_000 });
});
afterAll(() => stand[Symbol.asyncDispose]());

/** An agent that waits for tasks of a workflow of this name, before there are any. */
async function waiting(name: string, tasks = chain(3), on = stand.orchestrator) {
  const agent = await registerAgent(on, {
    name,
    queues: [name],
    definitions: [workflow(name, tasks, { queue: name })],
  });
  return agent;
}

const rowsOf = (runId: string) =>
  stand.sql<{ task: number; state: number }>(
    'SELECT task, state FROM signalbox.task_live WHERE run_id = $1 ORDER BY task',
    [runId],
  );
const liveOf = async (runId: string) =>
  first(
    await stand.sql<{ holder: string | null; held: Buffer | null }>(
      'SELECT holder, held FROM signalbox.run_live WHERE run_id = $1',
      [runId],
    ),
  );
const logOf = (runId: string) =>
  stand.sql<{ task: number; attempt: number; state: number }>(
    'SELECT task, attempt, state FROM signalbox.task_log WHERE run_id = $1 ORDER BY task, attempt',
    [runId],
  );
const expire = (agent: HandAgent) =>
  stand.sql(
    `UPDATE signalbox.agent_session SET lease_expires_at = clock_timestamp() - interval '1 ms' WHERE public_id = $1`,
    [agent.sessionId],
  );

describe('what a run’s holder is leased', () => {
  it('stands in the run’s own row, and a chain goes through without a row of its tasks', async () => {
    const agent = await waiting('through');
    const runId = await trigger(stand.orchestrator, 'through');
    let task = first(await agent.claim());
    for (const key of ['t0', 't1', 't2']) {
      expect(task.taskKey).toBe(key);
      expect(await rowsOf(runId)).toEqual([]);
      expect((await liveOf(runId)).holder).not.toBeNull();
      const shown = await stand.orchestrator.runs.tasks(runId);
      expect(shown.find((one) => one.key === key)).toMatchObject({
        state: 'running',
        agent: 'through',
      });
      const { assignments } = await agent.complete([ended(task, 'succeeded')], 1);
      task = assignments[0] ?? task;
    }
    expect((await stand.orchestrator.runs.get(runId)).state).toBe('succeeded');
    const queue = (await stand.orchestrator.queues.list()).find(({ name }) => name === 'through');
    expect(queue).toMatchObject({ ready: 0, running: 0 });
  });

  it('counts as running for its queue and its agent', async () => {
    const agent = await waiting('counted', [{ key: 'a' }, { key: 'b' }, { key: 'c' }]);
    await trigger(stand.orchestrator, 'counted');
    expect((await agent.claim(2)).length).toBe(2);
    const queue = (await stand.orchestrator.queues.list()).find(({ name }) => name === 'counted');
    expect(queue).toMatchObject({ ready: 1, running: 2 });
    const listed = (await stand.orchestrator.agents.list()).find(({ name }) => name === 'counted');
    expect(listed).toMatchObject({ running: 2 });
  });

  it('is taken back with the lease of its session, and given to another', async () => {
    const lost = await waiting('dies');
    const runId = await trigger(stand.orchestrator, 'dies');
    const task = first(await lost.claim());
    const { assignments } = await lost.complete([ended(task, 'succeeded')], 1);
    const held = first(assignments);
    expect(await rowsOf(runId)).toEqual([]);
    await expire(lost);
    await stand.reconcile('lease-reaper');
    const other = await registerAgent(stand.orchestrator, { queues: ['dies'] });
    expect(first(await other.claim())).toMatchObject({ taskKey: 't1', attempt: 2, isolated: true });
    const late = await lost.complete([ended(held, 'succeeded')]).catch(() => null);
    expect(late?.outcomes[0]?.outcome ?? 'lease-lost').toBe('lease-lost');
    expect(await logOf(runId)).toEqual([
      { task: 0, attempt: 1, state: 2 },
      { task: 1, attempt: 1, state: 7 },
    ]);
  });

  it('is told to stop when its run is cancelled', async () => {
    const agent = await waiting('stops');
    const runId = await trigger(stand.orchestrator, 'stops');
    const task = first(await agent.claim());
    await stand.orchestrator.runs.cancel(runId, 'enough', ACTOR);
    expect((await agent.beat([task.token])).cancel).toMatchObject([
      { runId, token: task.token, reason: 'enough' },
    ]);
    expect(await agent.complete([ended(task, 'cancelled')], 5)).toMatchObject({
      outcomes: [{ outcome: 'recorded' }],
      assignments: [],
    });
    expect((await stand.orchestrator.runs.get(runId)).state).toBe('cancelled');
  });

  it('lets a task hold a key of ctx.once', async () => {
    const agent = await waiting('keyed', chain(1));
    const runId = await trigger(stand.orchestrator, 'keyed');
    const { token } = first(await agent.claim());
    const once = (key: string, with_: string) =>
      stand.orchestrator.agents.once(agent.sessionId, {
        ...{ op: 'begin', runId, token: with_, key, onUnknown: 'repeat' },
      });
    expect(await rowsOf(runId)).toEqual([]);
    expect(await once('k', token)).toEqual({ outcome: 'go' });
    await expect(once('k', '99')).rejects.toMatchObject({ code: 'lease-lost' });
    const second = await trigger(stand.orchestrator, 'keyed');
    const other = first(await agent.claim());
    expect(other.runId).toBe(second);
    const beside = await stand.orchestrator.agents.once(agent.sessionId, {
      ...{ op: 'begin', runId: second, token: other.token, key: 'k', onUnknown: 'repeat' },
    });
    expect(beside).toMatchObject({ outcome: 'held' });
  });
});

describe('ends of tasks recorded on rows kept in mind', () => {
  it('go on when another server changed the run in between', async () => {
    const { orchestrator } = stand;
    const other = await stand.another();
    const tasks = ['a', 'b', 'c', 'd'].map((key) => ({ key }));
    const agent = await waiting('shared', [...tasks, { key: 'join', after: ['a', 'b', 'c', 'd'] }]);
    const runId = await trigger(orchestrator, 'shared');
    const claimed = await agent.claim(4);
    expect(claimed.length).toBe(4);
    const [a, b, c, d] = claimed;
    if (!a || !b || !c || !d) throw new Error('four were claimed');
    const completeAt = (server: typeof other, task: typeof a) =>
      server.agents.complete(agent.sessionId, { completions: [ended(task, 'succeeded')], take: 1 });
    // Each server is behind the other's last change.
    for (const [server, task] of [
      [orchestrator, a],
      [other, b],
      [orchestrator, c],
    ] as const) {
      expect((await completeAt(server, task)).outcomes[0]?.outcome).toBe('recorded');
    }
    expect((await completeAt(other, c)).outcomes[0]?.outcome).toBe('already-recorded');
    const { assignments } = await completeAt(other, d);
    expect(assignments).toMatchObject([{ taskKey: 'join' }]);
    expect(
      (await completeAt(orchestrator, first(assignments) as typeof a)).outcomes[0]?.outcome,
    ).toBe('recorded');
    expect((await orchestrator.runs.get(runId)).state).toBe('succeeded');
    expect((await logOf(runId)).length).toBe(5);
  });

  it('write nothing twice when both servers are told of the same end at once', async () => {
    const { orchestrator } = stand;
    const other = await stand.another();
    const agent = await waiting('both', chain(2));
    await orchestrator.runs.triggerBatch(
      'both',
      Array.from({ length: 20 }, () => ({})),
      ACTOR,
    );
    const tasks = await agent.claim(20);
    const completions = tasks.map((task) => ended(task, 'succeeded'));
    const replies = await Promise.all(
      [orchestrator, other].map((server) =>
        server.agents.complete(agent.sessionId, { completions, take: 0 }),
      ),
    );
    const outcomes = replies.map((reply) => reply.outcomes.map(({ outcome }) => outcome));
    for (const index of tasks.keys()) {
      expect(outcomes.map((each) => each[index]).sort()).toEqual(['already-recorded', 'recorded']);
    }
    expect((await agent.claim(100)).length).toBe(20);
  });

  it('see a pause, and hand nothing on', async () => {
    const agent = await waiting('paused');
    const runId = await trigger(stand.orchestrator, 'paused');
    const task = first(await agent.claim());
    await stand.sql(
      `UPDATE signalbox.run_live SET paused_at = clock_timestamp(), paused_by = 'x' WHERE run_id = $1`,
      [runId],
    );
    const { outcomes, assignments } = await agent.complete([ended(task, 'succeeded')], 5);
    expect(outcomes[0]?.outcome).toBe('recorded');
    expect(assignments).toEqual([]);
    expect(await rowsOf(runId)).toEqual([{ task: 1, state: 11 }]);
  });
});

describe('an answer that never arrived', () => {
  it('is told again to the agent that repeats its completion', async () => {
    const agent = await waiting('lost-answer');
    await trigger(stand.orchestrator, 'lost-answer');
    const completion = ended(first(await agent.claim()), 'succeeded');
    const { assignments } = await agent.complete([completion], 1);
    const again = await agent.complete([completion], 1);
    expect(again.outcomes[0]?.outcome).toBe('already-recorded');
    expect(again.assignments).toEqual(assignments);
    expect(
      (await agent.complete([completion, ended(first(assignments), 'succeeded')])).assignments,
    ).toEqual([]);
  });

  it('is made good at once where the claim had gone', async () => {
    const agent = await waiting('gone-claim', chain(1));
    const leaving = new AbortController();
    const claim = agent.claim(1, 10_000, leaving.signal);
    const triggered = trigger(stand.orchestrator, 'gone-claim');
    leaving.abort();
    expect(await claim).toEqual([]);
    await triggered;
    expect(first(await agent.claim(1, 5_000))).toMatchObject({ attempt: 1 });
  });
});

describe('new runs', () => {
  it('begin in the hands of an agent that waits, and tell that they were queued and running', async () => {
    const agent = await waiting('at-once', chain(1));
    const claim = agent.claim(5, 10_000);
    const runId = await trigger(stand.orchestrator, 'at-once');
    const task = first(await claim);
    expect(task.runId).toBe(runId);
    await agent.succeed(task);
    const events = await waitFor(async () => {
      const { runEvents } = await stand.orchestrator.events.readAfter(null, 100_000);
      const own = runEvents.filter((event) => event.runId === runId).map(({ state }) => state);
      return own.length >= 4 ? own : null;
    });
    expect(events).toEqual(['queued', 'running', 'succeeded', 'succeeded']);
  });

  it('share their first tasks among agents that wait', async () => {
    const tasks = Array.from({ length: 9 }, (_, index) => ({ key: `t${index}` }));
    const agents = [await waiting('spread', tasks), await waiting('spread', tasks)];
    const claims = agents.map((agent) => agent.claim(20, 10_000));
    const runId = await trigger(stand.orchestrator, 'spread');
    const got = await Promise.all(claims.map((claim) => Promise.race([claim])));
    expect(got.flat().length).toBe(9);
    await Promise.all(
      agents.map((agent, index) =>
        agent.complete((got[index] ?? []).map((task) => ended(task, 'succeeded'))),
      ),
    );
    expect((await stand.orchestrator.runs.get(runId)).state).toBe('succeeded');
  });
});

describe('ready tasks that are alike', () => {
  it('share a row, of which each agent takes what it needs', async () => {
    const leaves = Array.from({ length: 50 }, (_, index) => ({
      key: `leaf${index}`,
      after: ['root'],
    }));
    const agent = await waiting('bundled', [{ key: 'root' }, ...leaves]);
    const runId = await trigger(stand.orchestrator, 'bundled');
    await agent.complete([ended(first(await agent.claim(1)), 'succeeded')], 0);
    expect((await rowsOf(runId)).length).toBe(1);
    const shown = await stand.orchestrator.runs.tasks(runId);
    expect(shown.filter(({ state }) => state === 'ready').length).toBe(50);
    const other = await registerAgent(stand.orchestrator, { name: 'beside', queues: ['bundled'] });
    const keys = new Set<string>();
    for (const [who, count] of [
      [agent, 7],
      [other, 11],
      [agent, 100],
    ] as const) {
      const tasks = await who.claim(count);
      expect(tasks.length).toBe(Math.min(count, 50 - keys.size));
      for (const { taskKey } of tasks) keys.add(taskKey);
      expect(
        (await who.complete(tasks.map((task) => ended(task, 'succeeded')))).outcomes.every(
          ({ outcome }) => outcome === 'recorded',
        ),
      ).toBe(true);
    }
    expect(keys.size).toBe(50);
    expect((await stand.orchestrator.runs.get(runId)).state).toBe('succeeded');
  });

  it('are cancelled one and all with their run', async () => {
    const agent = await waiting(
      'bundle-off',
      Array.from({ length: 30 }, (_, i) => ({ key: `t${i}` })),
    );
    const runId = await trigger(stand.orchestrator, 'bundle-off');
    await stand.orchestrator.runs.cancel(runId, 'no', ACTOR);
    expect((await stand.orchestrator.runs.get(runId)).state).toBe('cancelled');
    expect(await rowsOf(runId)).toEqual([]);
    expect(await agent.claim()).toEqual([]);
  });

  it('are counted one by one when their queue gets a limit', async () => {
    const agent = await waiting(
      'bundle-few',
      Array.from({ length: 12 }, (_, i) => ({ key: `t${i}` })),
    );
    await trigger(stand.orchestrator, 'bundle-few');
    const before = await agent.claim(4);
    await stand.orchestrator.queues.set('bundle-few', { concurrency: 5 }, ACTOR);
    expect((await agent.claim(100)).length).toBe(1);
    await agent.complete(before.map((task) => ended(task, 'succeeded')));
    const taken: number[] = [];
    for (let look = 0; look < 4; look += 1) taken.push((await agent.claim(100)).length);
    expect(taken.reduce((sum, count) => sum + count, 0)).toBe(4);
  });
});
