import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Detector, DetectorAsset, Finding } from '../../../domain/finding.ts';
import { businessKey } from '../../../domain/run.ts';
import { backtest } from '../../../incidents/backtest.ts';
import { findingsAt } from '../../../incidents/detect.ts';
import { detectors } from '../../../incidents/detectors/index.ts';
import { startTelemetry, type Telemetry } from '../telemetry.ts';

const T0 = Date.UTC(2026, 0, 5, 12);
let telemetry: Telemetry;

beforeAll(async () => {
  telemetry = await startTelemetry();
});
afterAll(() => telemetry[Symbol.asyncDispose]());
beforeEach(() => telemetry.clear());

const at = (ms: number) => new Date(ms).toISOString().replace('T', ' ').replace('Z', '');

function findings(id: string, now: number, assets: DetectorAsset[] = [], settings = {}) {
  const detector = detectors.find((one) => one.id === id) as Detector;
  const context = { settings: { ...detector.defaults, ...settings }, assets, now };
  return findingsAt(detector, context, telemetry.query);
}

const firing = (all: readonly Finding[]) => all.filter(({ status }) => status === 'firing');

function serverSample(second: number, leaking: number) {
  const holder = (role: string, state: string, count: number, oldest: number) => ({
    ...{ role, application: `${role}-job`, state, count },
    ...{ oldestTransactionSeconds: oldest, blockedBy: 0 },
  });
  const holders = [
    holder('app', 'active', 4, 0.1),
    ...(leaking > 0 ? [holder('leaky', 'idle in transaction', leaking, second)] : []),
  ];
  return {
    ...{ at: at(T0 + second * 1_000), pool: 'db', kind: 'postgres-server', instance: 'db' },
    ...{ server: 'db', used: 4 + leaking, idle: 2, waiting: 0, max: 100, reserved: 3 },
    holders: JSON.stringify(holders),
  };
}

describe('pool-exhaustion on ClickHouse', () => {
  it('is unknown while no pool ever sent a sample', async () => {
    expect(await findings('pool-exhaustion', T0)).toMatchObject([{ status: 'unknown' }]);
  });

  it('finds a leak by its growth, long before the server is full', async () => {
    const rows = Array.from({ length: 8 }, (_, second) => serverSample(second, second * 4));
    await telemetry.insert('pool_samples', rows);
    const [found] = firing(await findings('pool-exhaustion', T0 + 7_200));
    expect(found).toMatchObject({
      fingerprint: 'pool-exhaustion:server:db',
      diagnosis: 'leak',
      reason: 'leak-grows',
      subjects: [{ type: 'server', id: 'db' }],
    });
    expect(found?.since).toBe(T0 + 3_000);
    expect(found?.rootCause).toContain('leaky-job');
  });

  it('folds a client pool that starves into the incident of its server', async () => {
    const seconds = Array.from({ length: 8 }, (_, second) => second);
    await telemetry.insert('pool_samples', [
      ...seconds.map((second) => serverSample(second, 0)),
      ...seconds.map((second) => ({
        ...{ at: at(T0 + second * 1_000), pool: 'orders', kind: 'postgres-client' },
        ...{ instance: 'agent-1', server: 'db', used: 10, idle: 0, waiting: 3 + second, max: 10 },
      })),
    ]);
    expect(firing(await findings('pool-exhaustion', T0 + 7_100))).toMatchObject([
      {
        fingerprint: 'pool-exhaustion:server:db',
        diagnosis: 'saturation',
        reason: 'waiting-at-ceiling',
        since: T0 + 4_000,
        subjects: [
          { type: 'server', id: 'db' },
          { type: 'pool', id: 'orders' },
        ],
      },
    ]);
  });

  it('sees a pool that fills up over half an hour before it is full', async () => {
    const rows = Array.from({ length: 110 }, (_, tick) => ({
      ...{ at: at(T0 + tick * 15_000), pool: 'airflow', kind: 'otel', instance: 'scheduler' },
      ...{ server: '', used: 20 + Math.floor(tick * 0.6), idle: 3, waiting: 0, max: 100 },
    }));
    await telemetry.insert('pool_samples', rows);
    const early = T0 + 20 * 15_000;
    expect(firing(await findings('pool-exhaustion', early))).toEqual([]);
    const late = T0 + 105 * 15_000;
    expect(firing(await findings('pool-exhaustion', late))).toMatchObject([
      { reason: 'trend-to-full', fingerprint: 'pool-exhaustion:pool:scheduler/airflow' },
    ]);
  });

  it('fires in a back-test at the moment at which it would have fired live', async () => {
    const rows = Array.from({ length: 12 }, (_, second) => serverSample(second, second * 4));
    await telemetry.insert('pool_samples', rows);
    const detector = detectors.find((one) => one.id === 'pool-exhaustion') as Detector;
    const range = { fromMs: T0 - 60_000, toMs: T0 + 60_000, stepMs: 1_000 };
    const over = { detector, settings: detector.defaults, assets: [], ...range };
    const found = await backtest({ ...over, query: telemetry.query });
    expect(found).toMatchObject([{ fingerprint: 'pool-exhaustion:server:db', diagnosis: 'leak' }]);
    expect(found[0]?.at).toBe(new Date(T0 + 3_000).toISOString());
    const tooMany = backtest({ ...over, stepMs: 1, toMs: T0 + 86_400_000, query: telemetry.query });
    await expect(tooMany).rejects.toMatchObject({ code: 'invalid-request' });
  });

  it('says unknown of a pool that fell silent', async () => {
    await telemetry.insert('pool_samples', [serverSample(0, 0)]);
    expect(await findings('pool-exhaustion', T0 + 60_000)).toMatchObject([
      { status: 'unknown', subjects: [{ type: 'server', id: 'db' }] },
    ]);
  });
});

interface RunLine {
  readonly id: string;
  readonly order: number | null;
  readonly events: readonly (readonly [number, string])[];
  readonly trigger?: string;
  readonly retryOf?: string;
  readonly logicalDate?: number;
}

function runRows(lines: readonly RunLine[]) {
  return lines.flatMap(({ id, order, events, trigger = 'manual', retryOf = '', logicalDate }) => {
    const parameters = order === null ? {} : { order };
    const date = logicalDate === undefined ? null : new Date(logicalDate).toISOString();
    return events.map(([second, state], index) => ({
      ...{ event_id: `${id}-${index}`, at: at(T0 + second * 1_000), engine: 'signalbox' },
      ...{ run_id: id, workflow: 'charge', task_key: '', attempt: 1, state, trigger },
      business_key: businessKey({
        engine: 'signalbox',
        job: 'charge',
        logicalDate: date,
        parameters,
      }),
      logical_date: logicalDate === undefined ? null : at(logicalDate),
      ...{ parameters: JSON.stringify(parameters), retry_of: retryOf },
    }));
  });
}

describe('duplicate-runs on ClickHouse', () => {
  it('is unknown while no run ever sent an event', async () => {
    expect(await findings('duplicate-runs', T0)).toMatchObject([{ status: 'unknown' }]);
  });

  it('finds runs of one key that live at the same time, folded by workflow', async () => {
    await telemetry.insert(
      'run_events',
      runRows([
        {
          id: 'a1',
          order: 1,
          events: [
            [0, 'queued'],
            [1, 'running'],
          ],
        },
        { id: 'a2', order: 1, events: [[2, 'queued']] },
        { id: 'b1', order: 2, events: [[0, 'queued']] },
        { id: 'b2', order: 2, events: [[3, 'queued']] },
        { id: 'c1', order: 3, events: [[0, 'queued']] },
      ]),
    );
    const all = firing(await findings('duplicate-runs', T0 + 5_000));
    expect(all).toMatchObject([{ diagnosis: 'concurrent', since: T0 + 2_000 }]);
    const ids = all[0]?.subjects.filter(({ type }) => type === 'run').map(({ id }) => id);
    expect(ids?.toSorted()).toEqual(['a1', 'a2', 'b1', 'b2']);
  });

  it('is silent once the surplus is cancelled', async () => {
    await telemetry.insert(
      'run_events',
      runRows([
        {
          id: 'a1',
          order: 1,
          events: [
            [0, 'queued'],
            [1, 'running'],
          ],
        },
        {
          id: 'a2',
          order: 1,
          events: [
            [2, 'queued'],
            [4, 'cancelled'],
          ],
        },
      ]),
    );
    expect(await findings('duplicate-runs', T0 + 3_000)).toHaveLength(1);
    expect(await findings('duplicate-runs', T0 + 5_000)).toEqual([]);
  });

  it('lets pass what is not the same work', async () => {
    const DAY = 86_400_000;
    await telemetry.insert(
      'run_events',
      runRows([
        { id: 'none1', order: null, events: [[0, 'running']] },
        { id: 'none2', order: null, events: [[0, 'running']] },
        {
          id: 'day1',
          order: null,
          logicalDate: T0 - DAY,
          trigger: 'schedule',
          events: [[0, 'running']],
        },
        { id: 'day2', order: null, logicalDate: T0, trigger: 'schedule', events: [[0, 'running']] },
        {
          id: 'try1',
          order: 5,
          events: [
            [0, 'running'],
            [2, 'failed'],
          ],
        },
        {
          id: 'try2',
          order: 5,
          events: [
            [3, 'running'],
            [6, 'succeeded'],
          ],
        },
        {
          id: 'again1',
          order: 6,
          events: [
            [0, 'running'],
            [2, 'succeeded'],
          ],
        },
        { id: 'again2', order: 6, retryOf: 'again1', trigger: 'retry', events: [[3, 'running']] },
      ]),
    );
    expect(await findings('duplicate-runs', T0 + 10_000)).toEqual([]);
  });

  it('finds a schedule that took effect twice', async () => {
    const scheduled = { order: null, logicalDate: T0, trigger: 'schedule' };
    await telemetry.insert(
      'run_events',
      runRows([
        {
          id: 's1',
          ...scheduled,
          events: [
            [0, 'running'],
            [5, 'succeeded'],
          ],
        },
        {
          id: 's2',
          ...scheduled,
          events: [
            [600, 'running'],
            [605, 'succeeded'],
          ],
        },
      ]),
    );
    expect(firing(await findings('duplicate-runs', T0 + 700_000))).toMatchObject([
      { diagnosis: 'both-took-effect', since: T0 + 600_000 },
    ]);
  });
});

function asset(key: string, upstream: string[], policy: object = {}, source: string | null = null) {
  const none = { warnAfterMs: null, failAfterMs: null, deadlineCron: null };
  const whole = { ...none, critical: false, fallback: null, ...policy };
  return { key, upstream, source, owners: [], policy: whole } as DetectorAsset;
}

const assetRow = (key: string, type: string, ms: number, detail = '', recorded = ms) => ({
  ...{ event_id: `${key}-${type}-${ms}`, at: at(ms), recorded_at: at(recorded) },
  ...{ asset_key: key, type, detail },
});

describe('stale-asset on ClickHouse', () => {
  const assets = [
    asset(
      'w/raw',
      [],
      { critical: true, fallback: 'last-good' },
      'https://u:p@crm.example/api?key=1',
    ),
    asset('w/clean', ['w/raw'], { failAfterMs: 60_000 }),
    asset('w/mart', ['w/clean'], { failAfterMs: 60_000 }),
    asset('w/other', [], { failAfterMs: 600_000 }),
  ];
  const fresh = assets.map(({ key }) => assetRow(key, 'materialized', T0));

  it('fires at the failure of a critical asset and names its source without its secrets', async () => {
    const detail = JSON.stringify({
      error: { name: 'TypeError', message: 'connect ECONNREFUSED' },
    });
    await telemetry.insert('asset_events', [
      ...fresh,
      assetRow('w/raw', 'failed', T0 + 5_000, detail),
      assetRow('w/raw', 'failed', T0 + 9_000, detail),
      assetRow('w/raw', 'fallback-served', T0, '', T0 + 6_000),
    ]);
    expect(await findings('stale-asset', T0 + 4_000, assets)).toEqual([]);
    const [found] = firing(await findings('stale-asset', T0 + 10_000, assets));
    expect(found).toMatchObject({
      fingerprint: 'stale-asset:w/raw',
      diagnosis: 'source-failed',
      since: T0 + 5_000,
      rootCause: 'source https://crm.example/api: connect ECONNREFUSED',
      affected: [{ id: 'w/clean' }, { id: 'w/mart' }],
    });
    expect(JSON.stringify(found?.title)).not.toContain('key=1');
  });

  it('folds all that became stale behind the root into one finding', async () => {
    await telemetry.insert('asset_events', [
      ...fresh,
      assetRow('w/raw', 'failed', T0 + 5_000, 'down'),
    ]);
    const all = firing(await findings('stale-asset', T0 + 90_000, assets));
    expect(all.map(({ fingerprint }) => fingerprint)).toEqual(['stale-asset:w/raw']);
  });

  it('goes by event time: a late record of old data freshens nothing', async () => {
    await telemetry.insert('asset_events', [
      assetRow('w/other', 'materialized', T0 - 7_200_000, '', T0),
    ]);
    expect(firing(await findings('stale-asset', T0 + 1_000, assets))).toMatchObject([
      { fingerprint: 'stale-asset:w/other', reason: 'past-its-policy', since: T0 - 6_600_000 },
    ]);
  });

  it('is clear once a version was computed after the failure', async () => {
    await telemetry.insert('asset_events', [
      ...fresh,
      assetRow('w/raw', 'failed', T0 + 5_000, 'down'),
      assetRow('w/raw', 'materialized', T0 + 9_000),
    ]);
    expect(await findings('stale-asset', T0 + 10_000, assets)).toEqual([]);
  });
});

describe('agent-lost on ClickHouse', () => {
  const beats = (id: string, name: string, from: number, to: number, last = 'online') =>
    Array.from({ length: to - from + 1 }, (_, index) => ({
      ...{ at: at(T0 + (from + index) * 1_000), kind: 'agent', id, name },
      state: from + index === to ? last : 'online',
      ...{ running: 4, interval_ms: 1_000 },
    }));
  const lease = { leaseMs: 4_000 };

  it('finds an agent whose heartbeats stopped, and not one that ended', async () => {
    await telemetry.insert('heartbeats', [
      ...beats('s1', 'far', 0, 5),
      ...beats('s2', 'near', 0, 20),
      ...beats('s3', 'done', 0, 6, 'stopped'),
    ]);
    expect(await findings('agent-lost', T0 + 9_000, [], lease)).toEqual([]);
    expect(firing(await findings('agent-lost', T0 + 10_000, [], lease))).toMatchObject([
      { fingerprint: 'agent-lost:far', since: T0 + 10_000, diagnosis: 'held-work' },
    ]);
  });

  it('is content when the agent came back with a new session', async () => {
    await telemetry.insert('heartbeats', [
      ...beats('s1', 'far', 0, 5),
      ...beats('s9', 'far', 14, 20),
    ]);
    expect(await findings('agent-lost', T0 + 20_000, [], lease)).toEqual([]);
  });

  it('does not take the silence of all telemetry for the loss of all agents', async () => {
    await telemetry.insert('heartbeats', [...beats('s1', 'a', 0, 5), ...beats('s2', 'b', 0, 5)]);
    expect(await findings('agent-lost', T0 + 20_000, [], lease)).toMatchObject([
      { status: 'unknown' },
    ]);
  });
});
