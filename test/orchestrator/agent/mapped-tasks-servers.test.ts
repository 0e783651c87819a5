import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../domain/time.ts';
import { inProcessTransport } from '../../../orchestrator/agent/in-process-transport.ts';
import { createOrchestrator } from '../../../orchestrator/create.ts';
import { workflow } from '../../../orchestrator/index.ts';
import { waitFor } from '../../support/wait-for.ts';
import { trigger } from '../dispatch/stand.ts';
import { type AgentStand, startAgentStand } from './stand.ts';

const ACTOR = { name: 'token:test' };
let agents: AgentStand;
beforeAll(async () => {
  agents = await startAgentStand();
});
afterAll(() => agents[Symbol.asyncDispose]());

const statesOf = async (runId: string) => {
  const tasks = await agents.stand.orchestrator.runs.tasks(runId);
  return Object.fromEntries(tasks.map(({ key, state }) => [key, state]));
};

describe('two servers', () => {
  it('go on with a mapped task when the one that read its list is gone', async () => {
    const definition = workflow('map-two-servers', {}, (w) => {
      const list = w.task('list', {}, () => [1, 2, 3, 4]);
      const each = w.map('each', { over: list, concurrency: 2 }, async (ctx, item) => {
        ctx.log.info(`item ${item}`);
        await gate.promise;
        return item * 10;
      });
      w.task('sum', { after: [each] }, async (ctx) =>
        (await ctx.result(each)).reduce((sum, one) => sum + one, 0),
      );
    });
    const gate = Promise.withResolvers<void>();
    const first = await createOrchestrator({
      ...{ databaseUrl: agents.stand.postgres.url, clock: systemClock, poolSize: 4 },
      log: () => undefined,
    });
    const transport = inProcessTransport(first.agents);
    const agent = await agents.start([definition], { transport, name: 'first', drainMs: 50 });
    const runId = await trigger(first, 'map-two-servers');
    await waitFor(async () => (await statesOf(runId))['each[1]'] === 'running');
    // It goes in the middle of the first two items, which are handed back.
    await agent.stop();
    await first.close();
    gate.resolve();
    const second = await agents.start([definition], { name: 'second' });
    const run = await agents.ended(runId);
    expect(run.state).toBe('succeeded');
    expect((await agents.results(runId))['sum']).toBe(100);
    await second.stop();
  });

  it('read a list anew that was cleared, whichever of them has seen the one before', async () => {
    const lists = [
      [1, 2, 3, 4],
      [10, 20, 30, 40],
      [5, 6],
      [7, 8, 9],
    ];
    const seen: number[] = [];
    let both = Promise.withResolvers<void>();
    const definition = workflow('map-cleared', {}, (w) => {
      const list = w.task('list', {}, (ctx) => lists[ctx.attempt - 1] ?? []);
      const each = w.map('each', { over: list }, async (_ctx, item) => {
        // The first two wait for each other, and each agent has one slot.
        if (seen.push(item) === 2) both.resolve();
        await both.promise;
        return item;
      });
      w.task('sum', { after: [each] }, async (ctx) =>
        (await ctx.result(each)).reduce((sum, one) => sum + one, 0),
      );
    });
    const other = await agents.stand.another();
    const transport = inProcessTransport(other.agents);
    const running = await Promise.all([
      agents.start([definition], { name: 'here', concurrency: 1 }),
      agents.start([definition], { name: 'there', concurrency: 1, transport }),
    ]);
    const { orchestrator } = agents.stand;
    const runId = await trigger(orchestrator, 'map-cleared');
    for (const [index, items] of lists.entries()) {
      const run = await agents.ended(runId);
      expect(run.state).toBe('succeeded');
      const sum = items.reduce((all, one) => all + one, 0);
      expect((await agents.results(runId))['sum']).toBe(sum);
      expect(seen.splice(0).sort((a, b) => a - b)).toEqual(items);
      const keys = Object.keys(await statesOf(runId)).filter((key) => key.startsWith('each['));
      expect(keys).toHaveLength(items.length);
      if (index + 1 === lists.length) break;
      both = Promise.withResolvers<void>();
      const server = index % 2 === 0 ? orchestrator : other;
      await server.runControl.clear(runId, { tasks: ['list'], downstream: true }, ACTOR);
    }
    const tasks = await orchestrator.runs.tasks(runId);
    expect(new Set(tasks.flatMap(({ agent }) => agent ?? [])).size).toBe(2);
    await Promise.all(running.map((agent) => agent.stop()));
  });
});
