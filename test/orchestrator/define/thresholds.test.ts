import { describe, expect, it } from 'vitest';
import type { Check, CheckContext } from '../../../orchestrator/define/check.ts';
import {
  duplicateRate,
  freshColumn,
  nullRate,
  qualityScore,
  rowCount,
  rowCountChange,
  schemaUnchanged,
  uniqueness,
} from '../../../orchestrator/index.ts';

const NOW = Date.UTC(2026, 0, 2);

function contextOf(given: Partial<CheckContext> = {}): CheckContext {
  return {
    ...{ assetKey: 'a/b', partitionKey: undefined, signal: new AbortController().signal },
    ...{ now: NOW, rows: null, schema: null, history: async () => [] },
    ...given,
  };
}

async function run(one: Check<never> | Check, value: unknown, given: Partial<CheckContext> = {}) {
  const work = one.run as (value: unknown, context: CheckContext) => unknown;
  return (await work(value, contextOf(given))) as { passed: boolean; metadata: object };
}

const rowsOf = (count: number) => Array.from({ length: count }, (_, id) => ({ id }));

/** Versions before, the newest first. */
const before = (...rows: number[]) => ({
  history: async () =>
    rows.map((count) => ({
      at: '2026-01-01T00:00:00Z',
      partition: null,
      metadata: { rows: count },
    })),
});

describe('thresholds', () => {
  it('limit how many rows there are', async () => {
    const limits = rowCount({ min: 2, max: 3 });
    const passed = await Promise.all([1, 2, 3, 4].map((count) => run(limits, rowsOf(count))));
    expect(passed.map((one) => one.passed)).toEqual([false, true, true, false]);
    expect(passed[0]?.metadata).toEqual({ rows: 1, min: 2, max: 3 });
  });

  it('limit how far the number of rows moves from the version before', async () => {
    const drop = rowCountChange({ maxDrop: '20%', maxGrowth: 1 });
    const passed = async (rows: number, ...was: number[]) =>
      (await run(drop, rowsOf(rows), before(...was))).passed;
    expect(await passed(80, 100, 1)).toBe(true);
    expect(await passed(79, 100, 1)).toBe(false);
    expect(await passed(200, 100)).toBe(true);
    expect(await passed(201, 100)).toBe(false);
    expect(await passed(5)).toBe(true);
    expect(await passed(0, 0)).toBe(true);
  });

  it('compare a partition with itself where it was made before', async () => {
    const version = (partition: string, rows: number) => ({
      ...{ at: '2026-01-01T00:00:00Z', partition, metadata: { rows } },
    });
    const given = {
      partitionKey: 'mon',
      history: async () => [version('sun', 10), version('mon', 100)],
    };
    expect((await run(rowCountChange({ maxDrop: 0.5 }), rowsOf(10), given)).passed).toBe(false);
  });

  it('limit how many rows repeat others', async () => {
    const rows = [
      { a: 1, b: 'x' },
      { a: 1, b: 'x' },
      { a: 1, b: 'y' },
      { a: '1', b: 'x' },
    ];
    const half = await run(duplicateRate({ columns: ['a', 'b'], max: '25%' }), rows);
    expect(half).toMatchObject({ passed: true, metadata: { duplicates: 1, rate: 0.25 } });
    expect((await run(uniqueness({ columns: ['a', 'b'] }), rows)).passed).toBe(false);
    expect((await run(uniqueness({ columns: ['a', 'b'] }), rows.slice(1))).passed).toBe(true);
  });

  it('find a repeated key among hundreds of thousands', async () => {
    async function* many() {
      for (let id = 0; id < 200_000; id += 1) yield { id };
      yield { id: 123_456 };
    }
    const found = await run(duplicateRate({ columns: ['id'], max: 0 }), many());
    expect(found).toMatchObject({ passed: false, metadata: { duplicates: 1 } });
  });

  it('limit how many rows have nothing in a column', async () => {
    const rows = [{ v: 1 }, { v: null }, {}, { v: 0 }];
    expect(await run(nullRate({ column: 'v', max: 0.5 }), rows)).toMatchObject({
      ...{ passed: true, metadata: { nulls: 2, rate: 0.5 } },
    });
    expect((await run(nullRate({ column: 'v', max: '49%' }), rows)).passed).toBe(false);
  });

  it('limit how old the newest moment of a column is', async () => {
    const check = freshColumn({ column: 'at', maxAge: '1h' });
    const at = (ms: number) => [{ at: new Date(0) }, { at: new Date(NOW - ms).toISOString() }];
    expect((await run(check, at(3_600_000))).passed).toBe(true);
    expect((await run(check, at(3_600_001))).passed).toBe(false);
    expect(await run(check, [{ at: 'soon' }])).toMatchObject({
      ...{ passed: false, metadata: { newest: null } },
    });
  });

  it('limit a score of the user’s own', async () => {
    const check = qualityScore({ min: 0.8, score: (value: number[]) => value[0] ?? 0 });
    expect((await run(check as Check, [0.8])).passed).toBe(true);
    expect(await run(check as Check, [0.7])).toEqual({
      ...{ passed: false, metadata: { score: 0.7, min: 0.8 } },
    });
    await expect(run(check as Check, [7])).rejects.toThrow('from 0 to 1');
  });

  it('hold the schema to that of the version before', async () => {
    const id = { name: 'id', type: 'integer' };
    const history = async () => [
      { at: '', partition: null, metadata: { schema: { type: 'json', value: [id] } } },
    ];
    const passed = async (schema: CheckContext['schema'], options = {}) =>
      (await run(schemaUnchanged(options), [], { schema, history })).passed;
    const more = [id, { name: 'more', type: 'text' }];
    expect(await passed([id])).toBe(true);
    expect(await passed([{ ...id, type: 'text' }])).toBe(false);
    expect(await passed(more)).toBe(false);
    expect(await passed(more, { allowAdded: true })).toBe(true);
    expect(await passed([], { allowAdded: true })).toBe(false);
  });

  it('tell what is wrong with them when the file is read', () => {
    expect(() => rowCount({})).toThrow('rowCount: give min or max');
    expect(() => rowCount({ min: 1.5 })).toThrow('rowCount: min: must be a whole number of rows');
    expect(() => rowCountChange({ maxDrop: 'a lot' as '1%' })).toThrow('must be a share such as');
    expect(() => duplicateRate({ columns: [], max: 0 })).toThrow('must be a list of columns');
    expect(() => freshColumn({ column: 'at', maxAge: 'x' })).toThrow('freshColumn: maxAge');
    expect(() => rowCount({ min: 1, severity: 'fatal' as 'warn' })).toThrow('severity: must be');
    expect(() => rowCount({ min: 1, naem: 'x' } as object)).toThrow('did you mean "name"?');
  });
});
