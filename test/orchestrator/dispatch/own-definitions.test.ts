import { asset, sensor, staticPartitions } from 'signalbox';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { definitionsOf } from '../../../orchestrator/define/registry.ts';
import { chain, registerAgent, type Stand, startStand, trigger, workflow } from './stand.ts';

const ACTOR = { name: 'token:test' };
let stand: Stand;

beforeAll(async () => {
  stand = await startStand();
});

afterAll(async () => {
  await stand[Symbol.asyncDispose]();
});

async function waitOf(runId: string, key: string) {
  const tasks = await stand.orchestrator.runs.tasks(runId);
  return tasks.find((task) => task.key === key)?.waitsFor;
}

const idsOf = (assignments: readonly { runId: string }[]) => assignments.map(({ runId }) => runId);

describe('an agent is given only what it defines', () => {
  it('of a version that differs, tasks that its own version has too; others wait and say why', async () => {
    const { orchestrator } = stand;
    const options = { queue: 'versions' };
    const old = workflow('changing', [{ key: 'kept' }, { key: 'dropped' }], options);
    const own = workflow('changing', [{ key: 'kept' }, { key: 'added' }], options);
    const before = await registerAgent(orchestrator, { queues: ['versions'], definitions: [old] });
    const runId = await trigger(orchestrator, 'changing');
    const agent = await registerAgent(orchestrator, { queues: ['versions'], definitions: [own] });
    expect((await agent.claim()).map(({ taskKey }) => taskKey)).toEqual(['kept']);
    expect(await agent.claim()).toEqual([]);
    expect((await waitOf(runId, 'dropped'))?.reason).toBe('no-slot');
    await before.stop();
    expect(await waitOf(runId, 'dropped')).toMatchObject({
      ...{ reason: 'no-definition', name: 'changing' },
      message: expect.stringMatching(/has changing with a task dropped: its code was changed/),
    });
    const back = await registerAgent(orchestrator, { queues: ['versions'], definitions: [old] });
    expect((await back.claim()).map(({ taskKey }) => taskKey)).toEqual(['dropped']);
  });

  it('past any number of tasks of others that were ready before, and in queues with a limit', async () => {
    const { orchestrator } = stand;
    for (const queue of ['behind', 'behind-limited']) {
      const [others, mine] = [`others-${queue}`, `mine-${queue}`];
      const definitions = [others, mine].map((name) => workflow(name, chain(1), { queue }));
      const all = await registerAgent(orchestrator, { queues: [queue], definitions });
      if (queue === 'behind-limited') {
        await orchestrator.queues.set(queue, { concurrency: 100 }, ACTOR);
      }
      const many = Array.from({ length: 3_000 }, () => ({}));
      await orchestrator.runs.triggerBatch(others, many, ACTOR);
      const runId = await trigger(orchestrator, mine);
      const agent = await registerAgent(orchestrator, {
        queues: [queue],
        definitions: definitions.slice(1),
      });
      expect(idsOf(await agent.claim(10))).toEqual([runId]);
      expect((await all.claim(10)).map(({ workflow: name }) => name)).toEqual(
        Array.from({ length: 10 }, () => others),
      );
    }
  });

  it('of a run that makes several assets, those that it has', async () => {
    const { orchestrator } = stand;
    const assetOf = (key: string) =>
      definitionsOf([asset(key, { queue: 'assets-of-two' }, () => 1)]).definitions;
    const one = await registerAgent(orchestrator, {
      ...{ queues: ['assets-of-two'], definitions: [...assetOf('two/a'), ...assetOf('two/b')] },
    });
    const other = await registerAgent(orchestrator, {
      ...{ queues: ['assets-of-two'], definitions: assetOf('two/c') },
    });
    await orchestrator.assets.materialize(['two/a', 'two/b', 'two/c'], {}, ACTOR);
    expect((await other.claim()).map(({ taskKey }) => taskKey)).toEqual(['two/c']);
    expect((await one.claim()).map(({ taskKey }) => taskKey).sort()).toEqual(['two/a', 'two/b']);
  });

  it('of a run that makes partitions of several assets, those that it has, past tasks of others', async () => {
    const { orchestrator } = stand;
    const queue = 'partitions-of-two';
    const others = workflow('beside-partitions', chain(1), { queue });
    const partitions = staticPartitions(['eu', 'us']);
    const above = asset('parts/above', { queue, partitions }, () => 1);
    const below = asset('parts/below', { queue, partitions, dependsOn: { above } }, () => 1);
    await registerAgent(orchestrator, { queues: [queue], definitions: [others] });
    const agent = await registerAgent(orchestrator, {
      ...{ queues: [queue], definitions: definitionsOf([above, below]).definitions },
    });
    await trigger(orchestrator, 'beside-partitions');
    const asked = { partitions: ['eu'], downstream: true };
    const { runs } = await orchestrator.assets.materializePartitions('parts/above', asked, ACTOR);
    expect(runs.map((run) => run.workflow)).toEqual(['asset-partitions']);
    expect((await agent.claim()).map(({ taskKey }) => taskKey)).toEqual(['parts/above']);
  });

  it('with what it completes, when what comes next is of the same run and no other has it', async () => {
    const { orchestrator } = stand;
    const queue = 'handed';
    const whole = workflow('handed', chain(2), { queue });
    const part = workflow('handed', chain(1), { queue });
    const agent = await registerAgent(orchestrator, { queues: [queue], definitions: [part] });
    const full = await registerAgent(orchestrator, { queues: [queue], definitions: [whole] });
    const runId = await trigger(orchestrator, 'handed');
    const [first] = await agent.claim();
    if (!first) throw new Error('nothing was claimed');
    const ended = { ...first, state: 'succeeded' as const, startedAt: 1, finishedAt: 2 };
    const { runId: id, taskKey, token, state, startedAt, finishedAt } = ended;
    const { assignments } = await agent.complete(
      [{ runId: id, taskKey, token, state, startedAt, finishedAt }],
      10,
    );
    expect(assignments).toEqual([]);
    expect((await full.claim()).map((one) => [one.runId, one.taskKey])).toEqual([[runId, 't1']]);
  });

  it('where new runs go straight to claims that wait', async () => {
    const { orchestrator } = stand;
    const queue = 'straight';
    const mine = workflow('straight-mine', chain(1), { queue });
    const others = workflow('straight-others', chain(1), { queue });
    await registerAgent(orchestrator, { queues: [queue], definitions: [others] });
    const agent = await registerAgent(orchestrator, { queues: [queue], definitions: [mine] });
    const waiting = agent.claim(10, 5_000);
    const other = await trigger(orchestrator, 'straight-others');
    const own = await trigger(orchestrator, 'straight-mine');
    expect(idsOf(await waiting)).toEqual([own]);
    expect((await waitOf(other, 't0'))?.reason).toBe('no-slot');
  });

  it('of what it defines by now, in each of its claims that wait at a server which learned of it by both', async () => {
    const server = await stand.another();
    const queue = 'learned';
    const before = workflow('learned-before', chain(1), { queue });
    const added = workflow('learned-later', chain(2), { queue });
    const agent = { name: 'learner', queues: [queue], concurrency: 2, version: '1' };
    const told = { ...agent, fileErrors: [] };
    const { agents } = stand.orchestrator;
    const { sessionId: session } = await agents.register({ ...told, definitions: [before] });
    const claim = () =>
      server.agents.claim(session, { capacity: 1, waitMs: 8_000 }, new AbortController().signal);
    const both = Promise.all([claim(), claim()]);
    // Behind both of them.
    await server.agents.heartbeat(session, { running: 0, pools: [] });
    await server.agents.register({ ...told, session, definitions: [before, added] });
    await trigger(server, 'learned-later');
    await trigger(server, 'learned-later');
    const replies = await both;
    expect(replies.map(({ assignments }) => assignments.length)).toEqual([1, 1]);
  });

  it('of sensors, looks of its own', async () => {
    const { orchestrator } = stand;
    const queue = 'looks';
    const target = workflow('looked-for', chain(1), { queue });
    const code = sensor('look-mine', { every: '1s', queue, triggers: 'looked-for' }, () => ({}));
    const [mine] = definitionsOf([code]).definitions;
    if (!mine) throw new Error('there is no sensor');
    const has = await registerAgent(orchestrator, {
      ...{ queues: [queue], definitions: [target, mine] },
    });
    const none = await registerAgent(orchestrator, { queues: [queue], definitions: [target] });
    const look = (sessionId: string) =>
      orchestrator.agents.claimLooks(
        ...([sessionId, { capacity: 5, waitMs: 600 }, new AbortController().signal] as const),
      );
    expect((await look(none.sessionId)).looks).toEqual([]);
    expect((await look(has.sessionId)).looks.map(({ sensor }) => sensor)).toEqual(['look-mine']);
  });
});
