/** Types that users rely on; `npm run typecheck` fails where they do not hold. */
import { asset, daily, externalAsset, flow, type TaskRef, workflow } from 'signalbox';
import { Type } from 'typebox';
import { describe, expectTypeOf, it } from 'vitest';
import { z } from 'zod';

describe('types', () => {
  it('carry a task’s result to the tasks after it', () => {
    workflow('w', {}, (w) => {
      const extract = w.task('extract', {}, async () => ({ rows: 10 }));
      expectTypeOf(extract).toEqualTypeOf<TaskRef<{ rows: number }>>();
      w.task('load', { after: [extract] }, async (ctx) => {
        expectTypeOf(await ctx.result(extract)).toEqualTypeOf<{ rows: number }>();
        expectTypeOf(ctx.dataInterval.start).toBeString();
        expectTypeOf(await ctx.once('key', () => 2)).toBeNumber();
      });
    });
  });

  it('follow from a JSON Schema, with defaults filled in', () => {
    const parameters = {
      type: 'object',
      properties: {
        n: { type: 'integer', default: 5 },
        day: { type: 'string' },
        mode: { enum: ['fast', 'safe'] },
        ids: { type: 'array', items: { type: 'number' } },
        nested: { type: 'object', properties: { on: { type: 'boolean' } }, required: ['on'] },
        either: { type: ['string', 'null'] },
      },
      required: ['day', 'ids'],
    } as const;
    flow('f', { parameters }, async (ctx, given) => {
      expectTypeOf(given).toEqualTypeOf<{
        n: number;
        day: string;
        ids: number[];
        mode?: 'fast' | 'safe';
        nested?: { on: boolean };
        either?: string | null;
      }>();
      expectTypeOf(ctx.parameters).toEqualTypeOf<typeof given>();
    });
    flow(
      'g',
      { parameters: { type: 'object', properties: { n: { type: 'integer', default: 1 } } } },
      (_ctx, { n }) => {
        expectTypeOf(n).toBeNumber();
      },
    );
  });

  it('follow from TypeBox and Zod schemas', () => {
    flow(
      'f',
      { parameters: Type.Object({ n: Type.Integer(), s: Type.Optional(Type.String()) }) },
      (_ctx, given) => {
        expectTypeOf(given).toEqualTypeOf<{ n: number; s?: string }>();
      },
    );
    flow('g', { parameters: z.object({ n: z.int().default(5) }) }, (_ctx, given) => {
      expectTypeOf(given).toEqualTypeOf<{ n: number }>();
    });
  });

  it('of steps and subflows are those of their code', () => {
    const child = flow('child', {}, async () => ({ sum: 1 }));
    flow('parent', {}, async (ctx) => {
      expectTypeOf(await ctx.step('a', async () => [1])).toEqualTypeOf<number[]>();
      expectTypeOf(await ctx.subflow(child)).toEqualTypeOf<{ sum: number }>();
      expectTypeOf(await ctx.waitUntil('b', () => true)).toBeBoolean();
    });
  });

  it('of a subflow’s parameters are those of its schema: what has a default may be left out', () => {
    const schema = {
      type: 'object',
      properties: { day: { type: 'string' }, n: { type: 'integer', default: 5 } },
      required: ['day'],
    } as const;
    const child = flow('child', { parameters: schema }, (_ctx, { n }) => n);
    const zodded = flow(
      'zodded',
      { parameters: z.object({ day: z.string(), n: z.int().default(5) }) },
      (_ctx, { day }) => day,
    );
    const boxed = flow(
      'boxed',
      { parameters: Type.Object({ day: Type.String(), n: Type.Integer({ default: 5 }) }) },
      () => [1],
    );
    const tasks = workflow('tasks', { parameters: schema }, (w) => {
      w.task('one', {}, () => null);
    });
    flow('parent', {}, async (ctx) => {
      expectTypeOf(await ctx.subflow(child, { day: '2026-01-01' })).toBeNumber();
      expectTypeOf(await ctx.subflow(zodded, { day: 'd', n: 1 }, { key: 'b' })).toBeString();
      expectTypeOf(await ctx.subflow(boxed, { day: 'd' })).toEqualTypeOf<number[]>();
      expectTypeOf(await ctx.subflow(tasks, { day: 'd' })).toBeUnknown();
      // A name says nothing of parameters and result.
      expectTypeOf(await ctx.subflow('child', { day: 1 })).toBeUnknown();
      expectTypeOf(await ctx.subflow<number>('child')).toBeNumber();
      // @ts-expect-error a day is a text
      await ctx.subflow(child, { day: 1 });
      // @ts-expect-error the day has no default
      await ctx.subflow(child, { n: 1 });
      // @ts-expect-error as a whole neither
      await ctx.subflow(zodded);
      // @ts-expect-error there is no such parameter
      await ctx.subflow(zodded, { day: 'd', m: 1 });
      // @ts-expect-error an integer is a number
      await ctx.subflow(boxed, { n: 'one' });
      // @ts-expect-error of tasks as well
      await ctx.subflow(tasks, { day: null });
    });
    workflow('outer', { parameters: schema }, (w) => {
      const list = w.task('list', {}, () => ['2026-01-01']);
      const sum = w.subflow('sum', {
        ...{ workflow: child, after: [list] },
        parameters: async (ctx) => ({ day: (await ctx.result(list))[0] ?? ctx.parameters.day }),
      });
      expectTypeOf(sum).toEqualTypeOf<TaskRef<number>>();
      w.subflow('by-name', { workflow: 'child', parameters: { anything: 1 } });
      // @ts-expect-error the day has no default
      w.subflow('none', { workflow: child });
      // @ts-expect-error a day is a text
      w.subflow('wrong', { workflow: child, parameters: { day: 1 } });
      // @ts-expect-error also where a function gives it
      w.subflow('given', { workflow: child, parameters: () => ({ day: 1 }) });
    });
  });

  it('of an asset’s inputs are those of its upstreams', () => {
    const raw = asset('w/raw', {}, async () => [{ id: 1 }]);
    asset('w/clean', { dependsOn: { raw } }, async (_ctx, inputs) => {
      expectTypeOf(inputs.raw).toEqualTypeOf<{ id: number }[]>();
      return inputs.raw;
    });
    asset(
      'w/other',
      { dependsOn: [raw] },
      async (_ctx, { raw: rows }) => (rows as { id: number }[]).length,
    );
  });

  it('of all partitions of an upstream are an object by key, for an asset that has none itself', () => {
    const partitions = daily({ start: '2026-01-01' });
    const stock = asset('w/stock', { partitions }, async () => ({ pieces: 1 }));
    const booked = externalAsset<{ cents: number }>('w/booked', { partitions });
    const plain = externalAsset<{ cents: number }>('w/plain');
    asset('w/total', { dependsOn: { stock, booked, plain } }, (_ctx, inputs) => {
      expectTypeOf(inputs.stock).toEqualTypeOf<Readonly<Record<string, { pieces: number }>>>();
      expectTypeOf(inputs.booked).toEqualTypeOf<Readonly<Record<string, { cents: number }>>>();
      expectTypeOf(inputs.plain).toEqualTypeOf<{ cents: number }>();
      // @ts-expect-error the stock of a day is not that of all days
      return inputs.stock.pieces + 1;
    });
    asset('w/daily_total', { partitions, dependsOn: { stock, plain } }, (_ctx, inputs) => {
      expectTypeOf(inputs.stock).toEqualTypeOf<{ pieces: number }>();
      return inputs.stock.pieces + inputs.plain.cents;
    });
  });

  it('let checks and inputs be used without annotations', () => {
    const score = (rows: readonly { id: number }[]) => rows.length;
    const dedupe = (rows: { id: number }[]) => rows;
    const raw = asset(
      'warehouse/raw_customers',
      { freshness: { warnAfter: '50m', failAfter: '60m' }, critical: true, fallback: 'last-good' },
      async () => [{ id: 1 }],
    );
    asset(
      'warehouse/clean_customers',
      {
        dependsOn: [raw],
        checks: {
          quality: {
            blocking: true,
            run: async (rows) => ({
              passed: score(rows) >= 0.95,
              metadata: { score: score(rows) },
            }),
          },
        },
      },
      async (_ctx, { raw: rows }) => dedupe(rows),
    );
  });
});
