import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Definition } from '../../../orchestrator/define/definition.ts';
import {
  flow,
  NoRetryError,
  RetryLaterError,
  type TaskContext,
  workflow,
} from '../../../orchestrator/index.ts';
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
const taskOf = async (runId: string, key: string) => {
  const tasks = await agents.stand.orchestrator.runs.tasks(runId);
  const task = tasks.find((one) => one.key === key);
  if (!task) throw new Error(`there is no task ${key}`);
  return task;
};

/** Runs it with an agent of its own. */
async function runOf(definition: Definition) {
  const agent = await agents.start([definition]);
  try {
    return await agents.run(definition.name);
  } finally {
    await agent.stop();
  }
}

describe('a branch', () => {
  const branching = (name: string, chosen: unknown) =>
    workflow(name, {}, (w) => {
      const size = w.task('size', {}, () => 3);
      const choose = w.branch('choose', { after: [size] }, async (ctx) => {
        expect(await ctx.result(size)).toBe(3);
        return chosen as string;
      });
      const big = w.task('big', { after: [choose] }, () => 'big');
      const small = w.task('small', { after: [choose] }, () => 'small');
      w.task('join', { after: [big, small], triggerRule: 'none-failed-min-one-succeeded' }, (ctx) =>
        Promise.all([big, small].map((one) => ctx.outcome(one))),
      );
    });

  it('goes on with the task that it names, and says of the others that they were not chosen', async () => {
    const run = await runOf(branching('branch-one', 'big'));
    expect(run.state).toBe('succeeded');
    expect(await statesOf(run.id)).toMatchObject({ big: 'succeeded', small: 'skipped' });
    expect(await taskOf(run.id, 'small')).toMatchObject({ reason: 'choose went another way' });
    expect((await taskOf(run.id, 'join')).result).toEqual([
      { state: 'succeeded', result: 'big' },
      { state: 'skipped', result: null },
    ]);
    expect((await taskOf(run.id, 'choose')).result).toEqual(['big']);
  });

  it('goes on with several, by what other tasks are called', async () => {
    const run = await runOf(branching('branch-several', [{ key: 'big' }, 'small']));
    expect(await statesOf(run.id)).toMatchObject({ big: 'succeeded', small: 'succeeded' });
  });

  it('that chooses nothing skips what comes after it', async () => {
    const run = await runOf(branching('branch-none', null));
    expect(await statesOf(run.id)).toMatchObject({
      big: 'skipped',
      small: 'skipped',
      join: 'skipped',
    });
    expect(run.state).toBe('succeeded');
  });

  it.each(['join', 'nonsense'])(
    'that names %s fails and lists what it can choose',
    async (chosen) => {
      const run = await runOf(branching(`branch-${chosen}`, chosen));
      expect(run.state).toBe('failed');
      expect(run.error).toMatchObject({ name: 'BranchError' });
      expect(run.error?.message).toMatch(
        /^choose: the branch chose "\w+", which .*; it can choose big, small$/,
      );
    },
  );

  it('may choose a group by its first tasks', async () => {
    const run = await runOf(
      workflow('branch-group', {}, (w) => {
        const choose = w.branch('choose', {}, () => 'left');
        w.group('left', { after: [choose] }, (g) => {
          const first = g.task('first', {}, () => 1);
          g.task('second', { after: [first] }, () => 2);
        });
        w.task('right', { after: [choose] }, () => 3);
      }),
    );
    expect(await statesOf(run.id)).toEqual({
      choose: 'succeeded',
      'left.first': 'succeeded',
      'left.second': 'succeeded',
      right: 'skipped',
    });
  });
});

describe('skips', () => {
  it('are asked for by code, flow down, and tell their reason', async () => {
    const run = await runOf(
      workflow('skips', {}, (w) => {
        const load = w.task('load', { retries: 2 }, (ctx) => ctx.skip('no new files'));
        const report = w.task('report', { after: [load] }, () => 1);
        w.task('always', { after: [report], triggerRule: 'all-done' }, () => 2);
      }),
    );
    expect(run).toMatchObject({ state: 'succeeded', error: null });
    expect(await taskOf(run.id, 'load')).toMatchObject({
      state: 'skipped',
      reason: 'no new files',
      error: null,
    });
    expect(await taskOf(run.id, 'report')).toMatchObject({
      state: 'skipped',
      reason: 'the rule all-succeeded does not hold: load was skipped',
    });
  });

  it('make the run skipped where all its tasks were', async () => {
    const run = await runOf(flow('skips-all', {}, (ctx) => ctx.skip()));
    expect([run.state, run.error]).toEqual(['skipped', null]);
    expect(await statesOf(run.id)).toEqual({ flow: 'skipped' });
  });

  it('of a short circuit reach everything behind it', async () => {
    const run = await runOf(
      workflow('short', {}, (w) => {
        const open = w.shortCircuit('open', {}, () => false);
        const work = w.task('work', { after: [open] }, () => 1);
        w.task('report', { after: [work], triggerRule: 'all-done' }, () => 2);
      }),
    );
    expect(await statesOf(run.id)).toEqual({
      open: 'succeeded',
      work: 'skipped',
      report: 'skipped',
    });
  });

  it('of a short circuit leave its result what it says it is', async () => {
    const seen: unknown[] = [];
    await runOf(
      workflow('short-result', {}, (w) => {
        const open = w.shortCircuit('open', { respectRules: true }, () => 0);
        const work = w.task('work', { after: [open] }, () => 1);
        w.task('report', { after: [work], triggerRule: 'all-done' }, async (ctx) => {
          seen.push(await ctx.result(open));
        });
      }),
    );
    expect(seen).toEqual([false]);
  });
});

describe('set-up and teardown', () => {
  it('tidies up after a failure, and the run has failed all the same', async () => {
    const seen: string[] = [];
    const run = await runOf(
      workflow('teardown-failure', {}, (w) => {
        const create = w.task('create', { setup: true }, () => 'cluster-1');
        const use = w.task('use', { after: [create] }, () => {
          throw new Error('out of memory');
        });
        w.task('drop', { after: [use], teardown: true }, async (ctx) => {
          seen.push(await ctx.result(create));
        });
      }),
    );
    expect(seen).toEqual(['cluster-1']);
    expect(run).toMatchObject({ state: 'failed', error: { message: 'use: out of memory' } });
  });

  it('tidies up after a cancelled run before the run is over', async () => {
    let dropped = false;
    const slow = (ctx: TaskContext<unknown>) =>
      new Promise((_, reject) => {
        ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason));
      });
    const definition = workflow('teardown-cancel', {}, (w) => {
      const create = w.task('create', { setup: true }, () => 1);
      const use = w.task('use', { after: [create] }, slow);
      w.task('later', { after: [use] }, () => 2);
      w.task('drop', { teardown: [create] }, () => {
        dropped = true;
      });
    });
    const agent = await agents.start([definition]);
    const runId = await trigger(agents.stand.orchestrator, 'teardown-cancel');
    await waitFor(async () => (await statesOf(runId))['use'] === 'running');
    await agents.stand.orchestrator.runs.cancel(runId, 'enough', ACTOR);
    const run = await agents.ended(runId);
    expect([run.state, dropped]).toEqual(['cancelled', true]);
    expect(await statesOf(runId)).toEqual({
      create: 'succeeded',
      use: 'cancelled',
      later: 'cancelled',
      drop: 'succeeded',
    });
    await agent.stop();
  });
});

describe('retries', () => {
  it('are made of errors that the task names, by class and by name', async () => {
    class Flaky extends Error {
      override readonly name = 'Flaky';
    }
    class Worse extends Flaky {}
    const attempts = { named: 0, other: 0, refused: 0, asked: 0 };
    const run = await runOf(
      workflow('retry-on', {}, (w) => {
        const common = { retries: 3, retryDelay: 0 };
        w.task('named', { ...common, retryOn: [Flaky] }, () => {
          attempts.named += 1;
          if (attempts.named < 3) throw new Worse('again');
        });
        w.task('other', { ...common, retryOn: ['Flaky'] }, () => {
          attempts.other += 1;
          throw new TypeError('a mistake');
        });
        w.task('refused', { ...common, noRetryOn: 'RangeError' }, () => {
          attempts.refused += 1;
          throw new RangeError('too far');
        });
        w.task('asked', { ...common, retryOn: (error) => String(error).includes('busy') }, () => {
          attempts.asked += 1;
          throw attempts.asked === 1 ? new Error('busy') : new NoRetryError('broken');
        });
      }),
    );
    expect(run.state).toBe('failed');
    expect(attempts).toEqual({ named: 3, other: 1, refused: 1, asked: 2 });
    expect(await statesOf(run.id)).toMatchObject({ named: 'succeeded', other: 'failed' });
  });

  it('come when the error says, in place of the delay of the task', async () => {
    let tries = 0;
    const run = await runOf(
      workflow('retry-later', {}, (w) => {
        w.task('call', { retries: 1, retryDelay: '1h' }, (ctx) => {
          tries += 1;
          if (ctx.attempt === 1) throw new RetryLaterError('limited', { after: '20ms' });
        });
      }),
    );
    expect([run.state, tries]).toEqual(['succeeded', 2]);
  });

  it('are as many as the list of delays is long', async () => {
    let tries = 0;
    const run = await runOf(
      workflow('retry-list', {}, (w) => {
        w.task('call', { retryDelay: ['1ms', '2ms', 3], retryJitter: 0 }, () => {
          tries += 1;
          throw new Error('no');
        });
      }),
    );
    expect([run.state, tries]).toEqual(['failed', 4]);
  });
});

describe('groups', () => {
  it('put their names before keys, and stand for all that nothing in them comes after', async () => {
    const order: string[] = [];
    const log = (ctx: TaskContext<unknown>) => void order.push(ctx.runId);
    const run = await runOf(
      workflow('groups', {}, (w) => {
        const start = w.task('start', {}, log);
        const prepare = w.group('prepare', { after: [start] }, (g) => {
          const read = g.task('read', {}, () => 2);
          const clean = g.task(
            'clean',
            { after: ['read'] },
            async (ctx) => (await ctx.result(read)) + 1,
          );
          g.task('count', { after: [read] }, () => 5);
          return { clean };
        });
        w.task('end', { after: [prepare] }, (ctx) => ctx.results([prepare.tasks.clean, start]));
      }),
    );
    const tasks = await agents.stand.orchestrator.runs.tasks(run.id);
    const after = Object.fromEntries(tasks.map(({ key, dependsOn }) => [key, dependsOn]));
    expect(after).toEqual({
      start: [],
      'prepare.read': ['start'],
      'prepare.clean': ['prepare.read'],
      'prepare.count': ['prepare.read'],
      end: ['prepare.clean', 'prepare.count'],
    });
    expect((await agents.results(run.id))['end']).toEqual([3, null]);
  });
});

describe('an allowed failure', () => {
  it('leaves the run as good as it was', async () => {
    const run = await runOf(
      workflow('allowed', {}, (w) => {
        const extra = w.task('extra', { allowFailure: true }, () => {
          throw new Error('no matter');
        });
        w.task('next', { after: [extra], triggerRule: 'all-done' }, async (ctx) => {
          await expect(ctx.result(extra)).rejects.toThrow('ctx.outcome tells how it ended');
          return (await ctx.outcome(extra)).state;
        });
      }),
    );
    expect(run).toMatchObject({ state: 'succeeded', error: null });
    expect(await agents.results(run.id)).toMatchObject({ next: 'failed' });
    expect(await statesOf(run.id)).toEqual({ extra: 'failed', next: 'succeeded' });
  });
});
