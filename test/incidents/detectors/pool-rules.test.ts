import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Finding } from '../../../domain/finding.ts';
import type { PoolHolder } from '../../../domain/pool.ts';
import { poolExhaustion } from '../../../incidents/detectors/pool-exhaustion.ts';

const T0 = Date.UTC(2026, 0, 5, 12);

interface Sample {
  readonly used: number;
  readonly idle?: number;
  readonly waiting?: number;
  readonly timeouts?: number;
  readonly holders?: readonly PoolHolder[];
}

interface Given {
  readonly pool?: string;
  readonly kind?: string;
  readonly server?: string;
  readonly max?: number;
  readonly reserved?: number;
  readonly everyMs?: number;
  readonly samples: readonly Sample[];
}

const holder = (role: string, state: string, count: number, oldest = 0, blockedBy = 0) => ({
  ...{ role, application: `${role}-job`, state, count, blockedBy },
  oldestTransactionSeconds: oldest,
});

/** What the detector says at the last sample of these pools, with rows as ClickHouse returns them. */
function firing(...pools: readonly Given[]): readonly Finding[] {
  let now = 0;
  const recent: Record<string, unknown>[] = [];
  const history: Record<string, unknown>[] = [];
  const holders: Record<string, unknown>[] = [];
  for (const given of pools) {
    const { pool = 'p', kind = 'postgres-client', server = '', max = 10, everyMs = 1_000 } = given;
    const tuples = given.samples.map((sample, index) => {
      const at = T0 + index * everyMs;
      now = Math.max(now, at);
      if (sample.holders) {
        holders.push({ server_name: pool, at_ms: at, holders: JSON.stringify(sample.holders) });
      }
      const { used, idle = 0, waiting = 0, timeouts = 0 } = sample;
      return [at, used, idle, waiting, max, given.reserved ?? 0, timeouts];
    });
    const row = { pool, kind, instance: 'i', server_name: server };
    recent.push({ ...row, points: tuples.slice(-180) });
    history.push({ ...row, points: tuples.filter((_, index) => (index * everyMs) % 15_000 === 0) });
  }
  const seen = [{ pool: 'p', kind: 'otel', server_name: '', last_ms: now }];
  const context = { settings: poolExhaustion.defaults, assets: [], now };
  const found = poolExhaustion.evaluate({ recent, history, holders, seen }, context);
  return found.filter(({ status }) => status === 'firing');
}

const repeat = (count: number, sample: (index: number) => Sample) =>
  Array.from({ length: count }, (_, index) => sample(index));

describe('what must not fire', () => {
  it('a pool that is merely busy, whatever its use, while nobody waits', () => {
    const use = fc.array(fc.integer({ min: 0, max: 10 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(use, (used) => {
        expect(firing({ samples: used.map((each) => ({ used: each, idle: 10 - each })) })).toEqual(
          [],
        );
      }),
    );
  });

  it('a pool whose use goes up and down, close to full, while nobody waits', () => {
    for (const period of [20, 31, 44, 90]) {
      const used = (second: number) =>
        Math.round(88 + 10 * Math.sin((second * 2 * Math.PI) / period));
      for (let seconds = 1; seconds < 2 * period; seconds += 2) {
        const samples = repeat(seconds, (second) => ({
          used: used(second),
          idle: 100 - used(second),
        }));
        expect([period, seconds, firing({ kind: 'otel', max: 100, samples })]).toEqual([
          period,
          seconds,
          [],
        ]);
      }
    }
  });

  it('a queue that comes and goes', () => {
    const samples = repeat(60, (second) => ({ used: 10, waiting: second % 3 === 0 ? 0 : 8 }));
    expect(firing({ samples })).toEqual([]);
  });

  it('task slots that are all taken with a queue for some minutes', () => {
    const samples = repeat(300, () => ({ used: 10, waiting: 40 }));
    expect(firing({ kind: 'task-slots', samples })).toEqual([]);
  });

  it('a server on which honest work grows to half of what it has', () => {
    const samples = repeat(15, (second) => ({
      used: 5 + Math.min(45, second * 5),
      holders: [holder('batch', 'active', 5 + Math.min(45, second * 5), 0.4)],
    }));
    expect(firing({ kind: 'postgres-server', max: 100, reserved: 3, samples })).toEqual([]);
  });

  it('a pool that was enlarged in one step', () => {
    const samples = repeat(20, (second) => ({ used: second < 10 ? 57 : 80 }));
    expect(firing({ kind: 'postgres-server', max: 100, reserved: 3, samples })).toEqual([]);
  });

  it('sessions that idle in short transactions, however many', () => {
    const samples = repeat(12, (second) => ({
      used: 10 + second * 3,
      holders: [holder('app', 'idle in transaction', 10 + second * 3, 0.2)],
    }));
    expect(firing({ kind: 'postgres-server', max: 200, reserved: 3, samples })).toEqual([]);
  });
});

describe('what must fire', () => {
  it('a queue that stays, since the moment at which that could be known', () => {
    const samples = [
      ...repeat(5, () => ({ used: 6 })),
      ...repeat(6, () => ({ used: 10, waiting: 2 })),
    ];
    expect(firing({ samples })).toMatchObject([
      { reason: 'waiting-at-ceiling', since: T0 + 9_000, diagnosis: 'unclear' },
    ]);
  });

  it('task slots that have not moved for ten minutes', () => {
    const samples = repeat(640, () => ({ used: 10, waiting: 40 }));
    expect(firing({ kind: 'task-slots', samples })).toMatchObject([
      { reason: 'queue-stays', diagnosis: 'saturation', since: T0 + 600_000 },
    ]);
  });

  it('a server that is nearly full, with the one who idles in transactions as the leak', () => {
    const samples = repeat(4, (second) => ({
      used: 95,
      holders: [
        holder('leaky', 'idle in transaction', 60, 100 + second),
        holder('app', 'active', 35),
      ],
    }));
    expect(firing({ kind: 'postgres-server', max: 100, reserved: 3, samples })).toMatchObject([
      { reason: 'level-above-threshold', diagnosis: 'leak', severity: 'critical' },
    ]);
  });

  it('a server where all wait for one blocker, as wedged', () => {
    const samples = repeat(4, () => ({
      used: 92,
      holders: [holder('app', 'active', 91, 30, 88), holder('ops', 'idle in transaction', 1, 300)],
    }));
    expect(firing({ kind: 'postgres-server', max: 100, reserved: 3, samples })).toMatchObject([
      { diagnosis: 'wedged' },
    ]);
  });

  it('a pool of a hundred that fills up within seconds, before it is full', () => {
    const samples = repeat(12, (second) => ({ used: 60 + second * 2 }));
    const [found] = firing({ kind: 'otel', max: 100, samples });
    expect(found).toMatchObject({ reason: 'trend-to-full' });
    expect(found?.title).toMatch(/^Pool p of i fills up: .* full in about 9 s/);
  });

  it('clients that wait below their ceiling, as the client’s own trouble', () => {
    const samples = repeat(14, () => ({ used: 3, waiting: 5 }));
    expect(firing({ samples })).toMatchObject([{ diagnosis: 'client-side' }]);
  });

  it('timeouts that grow while all is in use', () => {
    const samples = repeat(10, (second) => ({ used: 10, timeouts: second > 6 ? second : 0 }));
    expect(firing({ samples })).toMatchObject([{ reason: 'timeouts-grow', since: T0 + 7_000 }]);
  });

  it('a leak however fast it grows, always before the server is full', () => {
    const pace = fc.record({
      perSecond: fc.integer({ min: 1, max: 8 }),
      base: fc.integer({ min: 1, max: 30 }),
    });
    fc.assert(
      fc.property(pace, ({ perSecond, base }) => {
        const at = (second: number) => ({
          used: base + second * perSecond,
          holders: [
            holder('app', 'active', base),
            holder('leaky', 'idle in transaction', second * perSecond, second),
          ],
        });
        const full = Math.floor((97 - base) / perSecond);
        const firstSeen = Array.from({ length: full }, (_, second) => second).find((second) => {
          const samples = repeat(second + 1, at);
          return (
            firing({ pool: 'db', kind: 'postgres-server', max: 100, reserved: 3, samples }).length >
            0
          );
        });
        expect(firstSeen).toBeLessThan(full);
      }),
      { numRuns: 60 },
    );
  });
});
