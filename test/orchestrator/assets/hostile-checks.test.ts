/** Checks that misbehave, and values that are hard to judge. */
import { asset, check, duplicateRate, qualityScore, rowCount, rowCountChange } from 'signalbox';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keyOf } from '../../../orchestrator/define/row-counts.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';

const ACTOR = { name: 'token:test' };
let stand: AgentStand;
let rows: readonly Record<string, unknown>[] = [];
let score = Number.NaN;

const judged = asset(
  'hostile/judged',
  {
    checks: [
      check('throws', { severity: 'warn' }, () => {
        throw new RangeError('cannot tell');
      }),
      check('hangs', { severity: 'warn', timeout: '50ms' }, () => new Promise<boolean>(() => {})),
      check('says-nothing', { severity: 'warn' }, (() => undefined) as unknown as () => boolean),
      check('talks', {}, () => ({ passed: true, metadata: { text: 'x'.repeat(10_000_000) } })),
      check('circle', { severity: 'warn' }, () => {
        const metadata: Record<string, unknown> = {};
        metadata['self'] = metadata;
        return { passed: true, metadata };
      }),
      qualityScore({ min: 0.5, score: () => score, severity: 'warn' }),
      duplicateRate({ columns: ['id'], max: 0 }),
      rowCountChange({ maxDrop: '50%', maxGrowth: '100%' }),
    ],
  },
  () => rows,
);
const blocked = asset(
  'hostile/blocked',
  {
    checks: [check('hangs', { blocking: true, timeout: 20 }, () => new Promise<boolean>(() => {}))],
  },
  () => 1,
);

beforeAll(async () => {
  stand = await startAgentStand();
  await stand.start([judged, blocked]);
});
afterAll(() => stand[Symbol.asyncDispose]());

async function make(key: string) {
  const { assets } = stand.stand.orchestrator;
  const { id } = await assets.materialize([key], {}, ACTOR);
  const run = await stand.ended(id);
  const { checks, checkState } = await assets.get(key);
  return { run, checkState, of: new Map(checks.map((one) => [one.name, one])) };
}

describe('checks that misbehave', () => {
  it('have not passed where they throw, hang or say nothing; the asset is made nevertheless', async () => {
    rows = [{ id: 1 }];
    const { run, of, checkState } = await make('hostile/judged');
    expect(run).toMatchObject({ state: 'succeeded', error: null });
    expect(of.get('throws')).toMatchObject({
      ...{ passed: false, metadata: { error: 'RangeError: cannot tell' } },
    });
    expect(of.get('hangs')).toMatchObject({
      ...{ passed: false, metadata: { error: 'TimeLimitError: the check took longer than 50 ms' } },
    });
    expect(of.get('says-nothing')?.passed).toBe(false);
    expect(of.get('circle')?.passed).toBe(false);
    expect(checkState).toBe('warning');
  });

  it('have passed whatever the size of what they say, of which only the size is kept', async () => {
    const { of } = await make('hostile/judged');
    expect(of.get('talks')).toMatchObject({ passed: true, metadata: { limitBytes: 65_536 } });
    expect(of.get('talks')?.metadata?.['omittedBytes']).toBeGreaterThan(10_000_000);
  });

  it('refuse the version where they block and hang', async () => {
    const { run } = await make('hostile/blocked');
    expect(run).toMatchObject({ state: 'failed', error: { message: /took longer than 20 ms/ } });
  });
});

describe('values that are hard to judge', () => {
  it('a score that is no number has not passed', async () => {
    const { of } = await make('hostile/judged');
    expect(of.get('quality-score')).toMatchObject({
      ...{ passed: false, metadata: { error: /NaN/ } },
    });
    score = 0.5;
    expect((await make('hostile/judged')).of.get('quality-score')?.passed).toBe(true);
  });

  it('what is no JSON is no duplicate of what JSON would make of it', () => {
    const at = new Date(0);
    const keys = [Number.NaN, null, at, at.toISOString(), 1n, 1].map((id) => keyOf({ id }, ['id']));
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('no rows have no duplicates, and are a drop by all of what was there', async () => {
    rows = [{ id: 1 }, { id: 2 }];
    await make('hostile/judged');
    rows = [];
    const empty = (await make('hostile/judged')).of;
    expect(empty.get('duplicate-rate:id')).toMatchObject({ passed: true, metadata: { rate: 0 } });
    expect(empty.get('row-count-change')).toMatchObject({
      passed: false,
      metadata: { change: -1 },
    });
    rows = [{ id: 1 }];
    const grown = (await make('hostile/judged')).of.get('row-count-change');
    expect(grown).toMatchObject({ passed: true, metadata: { before: 0, change: 1 } });
  });
});

it('checks that can never pass, and two of one name, are refused when they are declared', () => {
  expect(() => rowCount({ min: 5, max: 1 })).toThrow('min must not be greater than max');
  expect(() => rowCount({ min: Number.NaN })).toThrow('whole number');
  expect(() =>
    asset('hostile/twice', { checks: [rowCount({ min: 1 }), rowCount({ max: 9 })] }, () => []),
  ).toThrow('two checks of one name');
});
