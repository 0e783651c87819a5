import { describe, expect, expectTypeOf, it } from 'vitest';
import {
  flow,
  type GroupRef,
  type TaskRef,
  type WorkflowBuilder,
  workflow,
} from '../../../orchestrator/index.ts';

type Builder = WorkflowBuilder<Record<string, unknown>>;
const tasksOf = (build: (w: Builder) => void) =>
  workflow('w', {}, build as (w: WorkflowBuilder<{ [name: string]: unknown }>) => void).described
    .tasks;
const keysOf = (build: (w: Builder) => void) =>
  Object.fromEntries(tasksOf(build).map(({ key, after }) => [key, after]));

describe('a workflow of tasks', () => {
  it('says nothing of a task that is not told, so that its version stays', () => {
    const [task] = tasksOf((w) => w.task('a', {}, () => 1));
    expect(Object.keys(task ?? {})).not.toContain('triggerRule');
    expect(Object.keys(task ?? {})).not.toContain('retryJitter');
  });

  it('keeps its rule, its part in tidying up, and the delays of its retries', () => {
    const [create, use, drop] = tasksOf((w) => {
      const create = w.task('create', { setup: true }, () => 1);
      const use = w.task('use', { after: [create], retryDelay: ['1s', '1m'] }, () => 1);
      w.task('drop', { after: [use], teardown: true, failRun: true }, () => 1);
    });
    expect(create).toMatchObject({ setup: true });
    expect(use).toMatchObject({ retries: 2, retryDelayMs: 1_000, retryDelaysMs: [1_000, 60_000] });
    expect(drop).toMatchObject({ teardown: { setups: ['create'], failRun: true } });
  });

  it('finds names in the nearest group, and below', () => {
    expect(
      keysOf((w) => {
        w.task('start', {}, () => 1);
        w.group('a', { after: ['start'] }, (a) => {
          a.task('read', { after: ['later'] }, () => 1);
          a.group('inner', (inner) => inner.task('read', { after: ['start'] }, () => 1));
          a.task('later', {}, () => 1);
          a.task('end', { after: ['inner', 'read'] }, () => 1);
        });
        w.task('end', { after: ['a'] }, () => 1);
      }),
    ).toEqual({
      start: [],
      'a.read': ['a.later'],
      'a.inner.read': ['start'],
      'a.later': ['start'],
      'a.end': ['a.inner.read', 'a.read'],
      end: ['a.end'],
    });
  });

  it('makes a task of a list that a function gives', () => {
    const tasks = tasksOf((w) => {
      const first = w.task('first', {}, () => 1);
      w.map(
        'each',
        { after: [first], over: async () => [1], maxItems: 5, concurrency: 2 },
        () => 1,
      );
    });
    expect(tasks.map(({ key, after }) => [key, after])).toEqual([
      ['first', []],
      ['each.items', ['first']],
      ['each', ['first', 'each.items']],
    ]);
    expect(tasks[2]?.map).toEqual({ over: 'each.items', maxItems: 5, concurrency: 2 });
  });

  const wrong: readonly (readonly [string, (w: Builder) => void, RegExp])[] = [
    [
      'an unknown rule',
      (w) => w.task('a', { triggerRule: 'all_done' as 'all-done' }, () => 1),
      /task "a": triggerRule: must be "all-succeeded" or/,
    ],
    [
      'an unknown task before',
      (w) => w.task('a', { after: ['b'] }, () => 1),
      /task "a" comes after "b", which is not a task of it/,
    ],
    [
      'failRun without teardown',
      (w) => w.task('a', { failRun: true }, () => 1),
      /task "a": failRun is for teardowns/,
    ],
    [
      'a teardown with a rule',
      (w) => w.task('a', { teardown: true, triggerRule: 'all-done' }, () => 1),
      /a teardown cannot have its own trigger rule/,
    ],
    [
      'a group without tasks',
      (w) => {
        w.group('g', () => 1);
        w.task('a', { after: ['g'] }, () => 1);
      },
      /the group g has no tasks/,
    ],
    [
      'groups in a circle',
      (w) => {
        w.group('g', { after: ['h'] }, (g) => g.task('a', {}, () => 1));
        w.group('h', { after: ['g'] }, (h) => h.task('a', {}, () => 1));
      },
      /in a circle/,
    ],
    [
      'two of a key',
      (w) => {
        w.group('g', (g) => g.task('a', {}, () => 1));
        w.task('g', {}, () => 1);
      },
      /there is a group of this name/,
    ],
    [
      'a list that is no task',
      (w) => w.map('a', { over: 7 as unknown as string }, () => 1),
      /over: must be the task that gives the list/,
    ],
    [
      'too many items',
      (w) => w.map('a', { over: () => [1], maxItems: 1e9 }, () => 1),
      /maxItems: must be a whole number from 1 to 100000/,
    ],
    [
      'the key of an item',
      (w) => {
        w.map('a', { over: () => [1] }, () => 1);
        w.task('a[3]', {}, () => 1);
      },
      /this is the key of an item of a/,
    ],
    [
      'a subflow without workflow',
      (w) => w.subflow('a', {} as { workflow: string }),
      /workflow: must be a workflow or a flow, or its name/,
    ],
    [
      'an error class that is no list',
      (w) => w.task('a', { retryOn: TypeError as unknown as string }, () => 1),
      /retryOn: must be \[TypeError\], a list/,
    ],
    [
      'an empty list of delays',
      (w) => w.task('a', { retryDelay: [] }, () => 1),
      /retryDelay: must be a duration, or a list of 1 to 1000 of them/,
    ],
  ];
  it.each(wrong)('refuses %s, and says where', (_, build, message) => {
    expect(() => tasksOf(build)).toThrow(message);
  });
});

describe('types', () => {
  it('follow items of a list to the array of results', () => {
    workflow('types', {}, (w) => {
      const list = w.task('list', {}, async () => [{ file: 'a', size: 1 }]);
      const sizes = w.map('sizes', { over: list }, (_ctx, item, index) => {
        expectTypeOf(item).toEqualTypeOf<{ file: string; size: number }>();
        expectTypeOf(index).toBeNumber();
        return item.size;
      });
      expectTypeOf(sizes).toEqualTypeOf<TaskRef<number[]>>();
      const again = w.map('again', { over: sizes }, (_ctx, size) => `${size}`);
      expectTypeOf(again).toEqualTypeOf<TaskRef<string[]>>();
      const rates = w.task('rates', {}, () => ({ EUR: 1, USD: 2 }));
      w.map('each', { over: rates }, (_ctx, [currency, rate]) => {
        expectTypeOf(currency).toBeString();
        expectTypeOf(rate).toBeNumber();
      });
      w.task('end', { after: [again, list] }, async (ctx) => {
        expectTypeOf(await ctx.result(again)).toEqualTypeOf<string[]>();
        expectTypeOf(await ctx.results([again, list])).toEqualTypeOf<
          [string[], { file: string; size: number }[]]
        >();
        expectTypeOf((await ctx.outcome(sizes)).result).toEqualTypeOf<number[] | null>();
      });
    });
  });

  it('of parameters reach functions that give lists and parameters', () => {
    const child = flow('child', {}, () => ({ rows: 1 }));
    const parameters = {
      type: 'object',
      properties: { days: { type: 'array', items: { type: 'string' } } },
      required: ['days'],
    } as const;
    workflow('types-parameters', { parameters }, (w) => {
      w.map('each', { over: ({ days }) => days }, (ctx, day) => {
        expectTypeOf(day).toBeString();
        expectTypeOf(ctx.parameters.days).toEqualTypeOf<string[]>();
      });
      const sub = w.subflow('sub', {
        workflow: child,
        parameters: (ctx) => ({ day: ctx.parameters.days[0] }),
      });
      expectTypeOf(sub).toEqualTypeOf<TaskRef<{ rows: number }>>();
      const choose = w.branch('choose', { after: [sub] }, () => [sub, 'each', null]);
      expectTypeOf(choose).toEqualTypeOf<TaskRef<string[]>>();
      const group = w.group('group', (g) => ({ inner: g.task('inner', {}, () => 1) }));
      expectTypeOf(group).toEqualTypeOf<GroupRef<{ inner: TaskRef<number> }>>();
      w.task('end', { after: [group, choose] }, (ctx) => {
        expectTypeOf(ctx.skip).returns.toBeNever();
      });
    });
  });
});
