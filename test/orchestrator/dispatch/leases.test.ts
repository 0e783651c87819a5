import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MAX_LOST_ATTEMPTS } from '../../../orchestrator/dispatch/plan.ts';
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
} from './stand.ts';

const LEASE_MS = 400;
let stand: Stand;
beforeAll(async () => {
  stand = await startStand({ leaseMs: LEASE_MS });
});
afterAll(() => stand[Symbol.asyncDispose]());

/** The end of a session's lease, as if its time had passed. */
const expire = (sessionId: string) =>
  stand.sql(
    `UPDATE signalbox.agent_session SET lease_expires_at = clock_timestamp() - interval '1 ms' WHERE public_id = $1`,
    [sessionId],
  );

describe('leases', () => {
  it('leave no sessions behind for ever, but for those that still hold something', async () => {
    const { orchestrator } = stand;
    const names = ['holding', 'old', 'fresh'];
    const definitions = [workflow('kept', chain(1), { queue: 'kept' })];
    const [holding, old, fresh] = await Promise.all(
      names.map((name) => registerAgent(orchestrator, { name, queues: ['kept'], definitions })),
    );
    await trigger(orchestrator, 'kept');
    // The first calls may take longer than a lease.
    await holding?.beat();
    expect(await holding?.claim()).toHaveLength(1);
    for (const [agent, days] of [
      [holding, 8],
      [old, 8],
      [fresh, 6],
    ] as const) {
      await stand.sql(
        `UPDATE signalbox.agent_session
         SET state = 'lost', ended_at = clock_timestamp() - make_interval(days => $2) WHERE public_id = $1`,
        [agent?.sessionId, days],
      );
    }
    await stand.reconcile('session-retention');
    const left = await stand.sql<{ name: string }>(
      'SELECT name FROM signalbox.agent_session WHERE name = ANY($1) ORDER BY name',
      [names],
    );
    expect(left.map(({ name }) => name)).toEqual(['fresh', 'holding']);
    await stand.reconcile('lease-reaper');
  });

  it('gives the tasks of an agent whose lease ran out to another, and refuses what it says later', async () => {
    const { orchestrator } = stand;
    const lost = await registerAgent(orchestrator, {
      name: 'lost-one',
      queues: ['lost'],
      definitions: [workflow('lost', chain(2), { queue: 'lost' })],
    });
    const runId = await trigger(orchestrator, 'lost');
    const task = first(await lost.claim());
    await stand.reconcile('lease-reaper');
    const other = await registerAgent(orchestrator, { queues: ['lost'] });
    expect(await other.claim()).toEqual([]);
    await expire(lost.sessionId);
    await stand.reconcile('lease-reaper');
    const again = first(await other.claim());
    expect(again).toMatchObject({ runId, taskKey: 't0', attempt: 2 });
    expect(again.token).not.toBe(task.token);
    const late = await orchestrator.agents
      .complete(lost.sessionId, {
        completions: [ended(task, 'succeeded', { result: 'late' })],
        take: 5,
      })
      .catch((error: unknown) => error);
    expect(late).toMatchObject({ outcomes: [{ outcome: 'lease-lost' }], assignments: [] });
    expect(await other.succeed(again, 'right')).toBe('recorded');
    const log = await stand.sql(
      'SELECT attempt, state, agent FROM signalbox.task_log WHERE run_id = $1 ORDER BY attempt',
      [runId],
    );
    expect(log).toEqual([
      { attempt: 1, state: 7, agent: 'lost-one' },
      { attempt: 2, state: 2, agent: 'hand' },
    ]);
    expect(await lost.beat()).toMatchObject({ sessionValid: false });
    await expect(lost.claim()).rejects.toMatchObject({ code: 'lease-lost' });
  });

  it('keeps the lease of an agent that beats, by the database’s clock', async () => {
    const { orchestrator } = stand;
    const agent = await registerAgent(orchestrator, { queues: ['beats'] });
    await expire(agent.sessionId);
    expect(await agent.beat()).toMatchObject({ sessionValid: true, leaseExpiresInMs: LEASE_MS });
    await stand.reconcile('lease-reaper');
    expect(await agent.beat()).toMatchObject({ sessionValid: true });
  });

  it('are renewed by one statement for all agents that beat within a moment', async () => {
    const agents = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        registerAgent(stand.orchestrator, { name: `together-${index}`, queues: ['together'] }),
      ),
    );
    const replies = await Promise.all(agents.map((agent) => agent.beat()));
    expect(replies.map(({ leaseExpiresInMs }) => leaseExpiresInMs)).toEqual(
      agents.map(() => LEASE_MS),
    );
    const writers = await stand.sql(
      `SELECT xmin, count(*)::int AS sessions FROM signalbox.agent_session
       WHERE name LIKE 'together-%' GROUP BY xmin`,
    );
    expect(writers).toEqual([expect.objectContaining({ sessions: agents.length })]);
  });

  it('hands nothing to a session whose lease is over, neither by claim nor with a completion', async () => {
    const { orchestrator } = stand;
    const agent = await registerAgent(orchestrator, {
      queues: ['over'],
      definitions: [workflow('over', chain(2), { queue: 'over' })],
    });
    await trigger(orchestrator, 'over');
    const task = first(await agent.claim());
    await expire(agent.sessionId);
    const reply = await agent.complete([ended(task, 'succeeded')], 10);
    expect(reply.outcomes[0]?.outcome).toBe('recorded');
    expect(reply.assignments).toEqual([]);
    expect(await agent.claim()).toEqual([]);
  });

  it('takes back at once what a stopping agent holds, and ends its session', async () => {
    const { orchestrator } = stand;
    const agent = await registerAgent(orchestrator, {
      queues: ['stop'],
      definitions: [workflow('stop', chain(1), { queue: 'stop' })],
    });
    await trigger(orchestrator, 'stop');
    await agent.claim();
    await agent.stop();
    await expect(agent.claim()).rejects.toMatchObject({ code: 'lease-lost' });
    const other = await registerAgent(orchestrator, { queues: ['stop'] });
    expect(first(await other.claim()).attempt).toBe(2);
  });

  it('gives out anew what an agent never heard of, once it is older than a lease', async () => {
    const { orchestrator } = stand;
    const agent = await registerAgent(orchestrator, {
      queues: ['unheard'],
      definitions: [workflow('unheard', chain(1), { queue: 'unheard' })],
    });
    await trigger(orchestrator, 'unheard');
    const unheard = first(await agent.claim());
    await agent.beat([]);
    expect(await agent.claim()).toEqual([]);
    await stand.sql(`UPDATE signalbox.task_live SET started_at = started_at - interval '1 hour'`);
    await agent.beat([unheard.token]);
    expect(await agent.claim()).toEqual([]);
    const again = await waitFor(async () => {
      await agent.beat([]);
      return (await agent.claim())[0];
    });
    expect(again).toMatchObject({ taskKey: 't0', attempt: 2 });
  });

  it('fails a task that takes agent after agent down with it', async () => {
    const { orchestrator } = stand;
    await registerAgent(orchestrator, {
      definitions: [workflow('killer', chain(2), { queue: 'killer' })],
    });
    const runId = await trigger(orchestrator, 'killer');
    for (let attempt = 1; attempt <= MAX_LOST_ATTEMPTS; attempt += 1) {
      const agent = await registerAgent(orchestrator, { queues: ['killer'] });
      expect(first(await agent.claim()).attempt).toBe(attempt);
      await expire(agent.sessionId);
      await stand.reconcile('lease-reaper');
    }
    expect(await orchestrator.runs.get(runId)).toMatchObject({
      state: 'failed',
      error: { name: 'AgentLost' },
    });
  });

  it('lists agents as online, late, lost or stopped', async () => {
    const { orchestrator } = stand;
    const agent = await registerAgent(orchestrator, { name: 'listed', queues: ['listed'] });
    const stateOf = async () =>
      (await orchestrator.agents.list()).find(({ name }) => name === 'listed')?.state;
    expect(await stateOf()).toBe('online');
    await stand.sql(
      `UPDATE signalbox.agent_session SET last_heartbeat_at = clock_timestamp() - interval '9 s',
         lease_expires_at = clock_timestamp() + interval '1 s' WHERE public_id = $1`,
      [agent.sessionId],
    );
    expect(await stateOf()).toBe('late');
    await expire(agent.sessionId);
    expect(await stateOf()).toBe('lost');
    await registerAgent(orchestrator, { name: 'listed', queues: ['listed'] });
    await stand.reconcile('lease-reaper');
    expect(await stateOf()).toBe('online');
  });

  it('lets a runbook requeue what a lost agent holds, and refuses while its lease lasts', async () => {
    const { orchestrator } = stand;
    const { agents } = orchestrator.levers;
    const agent = await registerAgent(orchestrator, {
      name: 'requeued',
      queues: ['requeued'],
      definitions: [workflow('requeued', chain(1), { queue: 'requeued' })],
    });
    await trigger(orchestrator, 'requeued');
    await agent.claim();
    await agent.beat();
    expect(await agents.requeueLost(agent.sessionId)).toMatchObject({ outcome: 'state-changed' });
    await expire(agent.sessionId);
    expect(await agents.orphanedTasks(agent.sessionId)).toBe(1);
    expect(await agents.requeueLost('requeued')).toEqual({ outcome: 'done', requeued: 1 });
    expect(await agents.requeueLost('requeued')).toEqual({ outcome: 'already-so', requeued: 0 });
  });
});
