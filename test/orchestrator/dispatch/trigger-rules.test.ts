import { describe, expect, it } from 'vitest';
import { TRIGGER_RULES, type TriggerRule } from '../../../domain/trigger-rule.ts';
import { type Outcome, play } from './graphs.ts';

/** How upstreams end: s succeeded, f failed, k skipped, u upstream-failed, c cancelled, - still under way. */
type Ends = string;
type Verdict = 'starts' | 'waits' | 'skipped' | 'upstream-failed';

const TABLE: Readonly<Record<TriggerRule, readonly (readonly [Ends, Verdict])[]>> = {
  'all-succeeded': [
    ['ss', 'starts'],
    ['s-', 'waits'],
    ['f-', 'upstream-failed'],
    ['u-', 'upstream-failed'],
    ['c-', 'upstream-failed'],
    ['k-', 'skipped'],
    ['sk', 'skipped'],
  ],
  'all-done': [
    ['ss', 'starts'],
    ['f-', 'waits'],
    ['fk', 'starts'],
    ['uk', 'starts'],
    ['cs', 'starts'],
  ],
  'all-failed': [
    ['ff', 'starts'],
    ['fu', 'starts'],
    ['f-', 'waits'],
    ['s-', 'skipped'],
    ['k-', 'skipped'],
  ],
  'one-succeeded': [
    ['s-', 'starts'],
    ['f-', 'waits'],
    ['ff', 'upstream-failed'],
    ['fk', 'upstream-failed'],
    ['kk', 'skipped'],
  ],
  'one-failed': [
    ['f-', 'starts'],
    ['u-', 'starts'],
    ['s-', 'waits'],
    ['ss', 'skipped'],
    ['sk', 'skipped'],
  ],
  'one-done': [
    ['s-', 'starts'],
    ['f-', 'starts'],
    ['k-', 'waits'],
    ['u-', 'waits'],
    ['kk', 'skipped'],
  ],
  'none-failed': [
    ['ss', 'starts'],
    ['sk', 'starts'],
    ['kk', 'starts'],
    ['k-', 'waits'],
    ['f-', 'upstream-failed'],
    ['u-', 'upstream-failed'],
  ],
  'none-failed-min-one-succeeded': [
    ['ss', 'starts'],
    ['sk', 'starts'],
    ['s-', 'waits'],
    ['kk', 'skipped'],
    ['f-', 'upstream-failed'],
  ],
  'none-skipped': [
    ['ss', 'starts'],
    ['sf', 'starts'],
    ['f-', 'waits'],
    ['k-', 'skipped'],
  ],
  'all-skipped': [
    ['kk', 'starts'],
    ['k-', 'waits'],
    ['s-', 'skipped'],
    ['f-', 'skipped'],
  ],
  'all-done-min-one-succeeded': [
    ['ss', 'starts'],
    ['sf', 'starts'],
    ['sk', 'starts'],
    ['s-', 'waits'],
    ['ff', 'upstream-failed'],
    ['fk', 'upstream-failed'],
    ['kk', 'skipped'],
  ],
  always: [['--', 'starts']],
};

const KINDS: Readonly<Record<string, Outcome['kind']>> = {
  s: 'succeeded',
  f: 'failed',
  k: 'skipped',
  c: 'cancelled',
};

/** Two upstreams, each behind a task of its own so that it can be upstream-failed; ends of them one after the other. */
async function verdictOf(rule: TriggerRule, ends: Ends): Promise<Verdict> {
  const run = await play([
    { key: 'ra' },
    { key: 'rb' },
    { key: 'a', after: ['ra'] },
    { key: 'b', after: ['rb'] },
    { key: 'd', after: ['a', 'b'], triggerRule: rule },
  ]);
  for (const [index, end] of [...ends].entries()) {
    const key = index === 0 ? 'a' : 'b';
    if (end === '-') continue;
    if (end === 'u') run.ends({ [`r${key}`]: 'failed' });
    else {
      run.ends({ [`r${key}`]: 'succeeded' });
      run.ends({ [key]: KINDS[end] ?? 'failed' });
    }
  }
  const state = run.state('d');
  if (state === 'running') return 'starts';
  return state === 'pending' ? 'waits' : (state as Verdict);
}

describe('trigger rules', () => {
  it.each(
    TRIGGER_RULES.flatMap((rule) =>
      TABLE[rule].map(([ends, verdict]) => ({ rule, ends, verdict })),
    ),
  )('$rule with upstreams $ends: $verdict', async ({ rule, ends, verdict }) => {
    expect(await verdictOf(rule, ends)).toBe(verdict);
    const reversed = [...ends].reverse().join('');
    expect(await verdictOf(rule, reversed)).toBe(verdict);
  });

  it('let a task without upstreams start, whatever its rule', async () => {
    for (const triggerRule of TRIGGER_RULES) {
      const run = await play([{ key: 'only', triggerRule }]);
      expect(run.state('only')).toBe('running');
    }
  });

  it('are decided in the order of their ends only where they say so: a failure beside a skip', async () => {
    const run = await play([{ key: 'a' }, { key: 'b' }, { key: 'd', after: ['a', 'b'] }]);
    run.ends({ a: 'skipped', b: 'failed' });
    expect(run.state('d')).toBe('upstream-failed');
  });
});

describe('skips', () => {
  it('flow down through tasks that need success, and stop at a rule that takes them', async () => {
    const run = await play([
      { key: 'a' },
      { key: 'b', after: ['a'] },
      { key: 'c', after: ['b'] },
      { key: 'join', after: ['c'], triggerRule: 'none-failed' },
    ]);
    expect(run.ends({ a: 'skipped' })).toEqual(['join']);
    expect(run.states()).toMatchObject({ a: 'skipped', b: 'skipped', c: 'skipped' });
    run.ends({ join: 'succeeded' });
    expect(run.end).toBe('succeeded');
  });

  it('end a run as skipped where every task was', async () => {
    const run = await play([{ key: 'a' }, { key: 'b', after: ['a'] }]);
    run.ends({ a: 'skipped' });
    expect(run.end).toBe('skipped');
  });
});

describe('branches', () => {
  const tasks = [
    { key: 'choose' },
    { key: 'big', after: ['choose'] },
    { key: 'small', after: ['choose'] },
    { key: 'join', after: ['big', 'small'], triggerRule: 'none-failed-min-one-succeeded' as const },
  ];
  const follow = (run: Awaited<ReturnType<typeof play>>, ...keys: string[]): Outcome => ({
    kind: 'succeeded',
    branch: { follow: keys.map((key) => run.version.indexOf.get(key) ?? -1), skipAll: false },
  });

  it('skip what they do not choose', async () => {
    const run = await play(tasks);
    expect(run.ends({ choose: follow(run, 'big') })).toEqual(['big']);
    expect(run.state('small')).toBe('skipped');
    expect(run.ends({ big: 'succeeded' })).toEqual(['join']);
    run.ends({ join: 'succeeded' });
    expect(run.end).toBe('succeeded');
  });

  it('that choose nothing skip all that comes after them', async () => {
    const run = await play(tasks);
    expect(run.ends({ choose: follow(run) })).toEqual([]);
    expect(run.states()).toMatchObject({ big: 'skipped', small: 'skipped', join: 'skipped' });
  });

  it('leave alone what a chosen task leads to, also where it comes directly after them', async () => {
    const run = await play([
      { key: 'choose' },
      { key: 'extra', after: ['choose'] },
      { key: 'join', after: ['choose', 'extra'] },
    ]);
    run.ends({ choose: follow(run, 'extra') });
    expect(run.state('join')).toBe('pending');
    expect(run.ends({ extra: 'succeeded' })).toEqual(['join']);
  });

  it('short-circuit everything downstream whatever its rule, but for what tidies up', async () => {
    const run = await play([
      { key: 'open', setup: true },
      { key: 'check', after: ['open'] },
      { key: 'work', after: ['check'] },
      { key: 'report', after: ['work'], triggerRule: 'all-done' },
      { key: 'close', after: ['report'], teardown: { setups: ['open'], failRun: false } },
    ]);
    run.ends({ open: 'succeeded' });
    const branch = { follow: [], skipAll: true };
    expect(run.ends({ check: { kind: 'succeeded', branch } })).toEqual(['close']);
    expect(run.states()).toMatchObject({ work: 'skipped', report: 'skipped', close: 'running' });
  });
});
