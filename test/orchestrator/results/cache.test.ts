/** Results of earlier executions that are taken in place of running, with real agents. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Definition } from '../../../orchestrator/define/definition.ts';
import { DefinitionError, flow, inputsHash, workflow } from '../../../orchestrator/index.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';

let agents: AgentStand;
beforeAll(async () => {
  agents = await startAgentStand();
});
afterAll(() => agents[Symbol.asyncDispose]());

/** Runs it so many times, one after the other. */
async function runsOf(definition: Definition, ...parameters: Record<string, unknown>[]) {
  const agent = await agents.start([definition]);
  try {
    const runs = [];
    for (const one of parameters) runs.push(await agents.run(definition.name, one));
    return runs;
  } finally {
    await agent.stop();
  }
}
const attemptsOf = (runId: string, task: string) =>
  agents.stand.orchestrator.runControl.attempts(runId, task);

describe('a cached task', () => {
  it('takes the result of an earlier run with the same key, and says of which', async () => {
    let made = 0;
    const definition = workflow('cache', {}, (w) => {
      const make = w.task(
        'make',
        { cache: { key: (ctx) => ['day', String(ctx.parameters.day)] } },
        () => {
          made += 1;
          return { made };
        },
      );
      w.task('read', { after: [make] }, (ctx) => ctx.result(make));
    });
    const [one, two, other] = await runsOf(definition, { day: 1 }, { day: 1 }, { day: 2 });
    const results = await Promise.all(
      [one, two, other].map((run) => agents.results(run?.id ?? '')),
    );
    expect(results.map(({ read }) => read)).toEqual([{ made: 1 }, { made: 1 }, { made: 2 }]);
    expect(await attemptsOf(two?.id ?? '', 'make')).toMatchObject([
      { state: 'succeeded', cachedFrom: one?.id },
    ]);
    expect((await attemptsOf(other?.id ?? '', 'make'))[0]).not.toHaveProperty('cachedFrom');
    await waitFor(() =>
      agents.lines.find(
        ({ runId, message }) => runId === two?.id && message.includes(`run ${one?.id}`),
      ),
    );
  });

  it('takes large results as they are, for as long as anybody names them', async () => {
    const definition = workflow('cache-large', {}, (w) => {
      const make = w.task('make', { cache: { key: () => 'same' } }, (ctx) =>
        ctx.runId.padEnd(600_000, '.'),
      );
      w.task('read', { after: [make] }, async (ctx) => (await ctx.result(make)).slice(0, 36));
    });
    const [one, two] = await runsOf(definition, {}, {});
    expect((await agents.results(two?.id ?? '')).read).toBe(one?.id);
    expect((await agents.results(two?.id ?? '')).make).toEqual(
      (await agents.results(one?.id ?? '')).make,
    );
    expect(
      await agents.stand.sql('SELECT content FROM signalbox.result_cache_hit WHERE run_id = $1', [
        two?.id,
      ]),
    ).toEqual([{ content: expect.stringContaining(one?.id ?? '?') }]);
  });

  it('runs again when its time is over, its version is another, it failed, or somebody forgot the result', async () => {
    const made: string[] = [];
    const definition = (version: number, expires: string) =>
      workflow('cache-over', {}, (w) => {
        w.task('make', { cache: { key: () => 'k', expires, version } }, (ctx) => {
          made.push(ctx.runId);
          if (made.length === 1) throw new Error('first');
          return made.length;
        });
      });
    await runsOf(definition(1, '1h'), {}, {}, {});
    expect(made.length).toBe(2);
    await runsOf(definition(2, '1h'), {});
    expect(made.length).toBe(3);
    await agents.stand.sql(
      `UPDATE signalbox.result_cache SET expires_at = now() - interval '1 s' WHERE workflow = 'cache-over'`,
    );
    await runsOf(definition(2, '1h'), {}, {});
    expect(made.length).toBe(4);
    expect(await agents.stand.orchestrator.results.forgetCached('cache-over', 'other')).toBe(0);
    // One for each version: the first one is over.
    expect(await agents.stand.orchestrator.results.forgetCached('cache-over')).toBe(2);
    await runsOf(definition(2, '1h'), {});
    expect(made.length).toBe(5);
  });

  it('is swept when it is over', async () => {
    await runsOf(
      workflow('cache-swept', {}, (w) => {
        w.task('make', { cache: { key: () => 'k', expires: 1 } }, () => 1);
      }),
      {},
    );
    await waitFor(async () => {
      await agents.stand.reconcile('result-cache');
      const left = await agents.stand.sql(
        `SELECT FROM signalbox.result_cache WHERE workflow = 'cache-swept'`,
      );
      return left.length === 0;
    });
  });

  it('with inputsHash goes by the parameters, what it comes after, and its item', async () => {
    const made: unknown[] = [];
    const definition = workflow('cache-inputs', {}, (w) => {
      const source = w.task('source', {}, (ctx) => ({ size: Number(ctx.parameters.size), b: 1 }));
      const load = w.task(
        'load',
        { after: [source], cache: { key: inputsHash() } },
        async (ctx) => {
          made.push('load');
          return (await ctx.result(source)).size;
        },
      );
      w.map(
        'each',
        { over: () => ['a', 'b'], after: [load], cache: { key: inputsHash() } },
        (_ctx, item) => {
          made.push(item);
          return `${item}!`;
        },
      );
    });
    const [, two] = await runsOf(definition, { size: 1 }, { size: 1 });
    expect(made.sort()).toEqual(['a', 'b', 'load']);
    expect(await agents.results(two?.id ?? '')).toMatchObject({ 'each[0]': 'a!', 'each[1]': 'b!' });
    await runsOf(definition, { size: 2 });
    expect(made.length).toBe(6);
  });

  it('of another workflow is not taken, nor is that of another task', async () => {
    const made: string[] = [];
    const definition = (name: string) =>
      workflow(name, {}, (w) => {
        for (const key of ['a', 'b']) {
          w.task(key, { cache: { key: () => 'same' } }, () => made.push(`${name} ${key}`));
        }
      });
    await runsOf(definition('cache-one'), {});
    await runsOf(definition('cache-two'), {});
    expect(made.length).toBe(4);
  });

  it('is refused where it would leave something undone, and where its key is none', async () => {
    const cache = { key: () => 'k' };
    expect(() =>
      workflow('cache-asset', {}, (w) => void w.task('a', { cache, produces: ['x'] }, () => 1)),
    ).toThrow(DefinitionError);
    expect(() =>
      workflow('cache-branch', {}, (w) => void w.branch('a', { cache }, () => null)),
    ).toThrow(/only give a result/);
    const [run] = await runsOf(
      workflow('cache-no-key', {}, (w) => {
        w.task('a', { cache: { key: () => 7 as unknown as string } }, () => 1);
      }),
      {},
    );
    expect(run).toMatchObject({ state: 'failed' });
  });

  it('in a flow is a step that other runs share', async () => {
    let made = 0;
    const definition = flow('cache-flow', {}, async (ctx) => {
      const big = await ctx.cached('rates', () => {
        made += 1;
        return { made, big: 'x'.repeat(300_000) };
      });
      return [big.made, big.big.length];
    });
    const [one, two] = await runsOf(definition, {}, {});
    for (const run of [one, two]) {
      expect(await agents.results(run?.id ?? '')).toMatchObject({ flow: [1, 300_000] });
    }
    expect(made).toBe(1);
  });
});
