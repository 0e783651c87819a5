/**
 * Connection pools out of `db.client.connection.*` metrics (OpenTelemetry's semantic conventions): one pool for
 * each pool name and service. A request may carry only some of a pool's metrics, and each replica of a service
 * reports its own: what was last said of each replica is remembered, and a sample is the sum over those that
 * spoke lately. Lateness is judged by the points' own times, so that recorded telemetry reads the same.
 */
import type { PoolSample } from '../../../domain/events.ts';
import type { MetricSink, Point, Resource } from './model.ts';
import { attribute } from './value-text.ts';

const PREFIX = 'db.client.connection';
/** Names of the conventions, and those before version 1.26, which many senders still use. */
const NAMES = [
  {
    prefix: 'db.client.connection.',
    count: 'count',
    pool: 'db.client.connection.pool.name',
    state: 'db.client.connection.state',
  },
  { prefix: 'db.client.connections.', count: 'usage', pool: 'pool.name', state: 'state' },
] as const;
/** Unlike a level, a count of timeouts may be told as what was added since the last time. */
const DELTA = 1;

/** A replica that said nothing for this long beside others is gone; metrics come every minute as a rule. */
const REPLICA_SILENT_MS = 150_000;
const MAX_POOLS = 5_000;
const MAX_REPLICAS = 1_000;
const MAX_UINT32 = 4_294_967_295;

const FIELDS: Readonly<Record<string, Field>> = {
  max: 'max',
  pending_requests: 'waiting',
  timeouts: 'timeouts',
};
const STATES: Readonly<Record<string, Field>> = { used: 'used', idle: 'idle' };

type Field = 'used' | 'idle' | 'waiting' | 'max' | 'timeouts';
type Levels = Record<Field, number>;

interface Replica {
  at: number;
  readonly levels: Levels;
}

interface SeenPool {
  readonly name: string;
  readonly service: string;
  readonly replicas: Map<string, Replica>;
}

interface Told {
  readonly pool: string;
  readonly service: string;
  readonly replica: string;
  readonly at: number;
  readonly levels: Map<Field, number>;
  addedTimeouts: number;
}

/** Collects the pool metrics of one request. */
export interface PoolPoints extends MetricSink {
  /** Samples of what this request said, oldest first. */
  samples(): readonly PoolSample[];
}

/** Remembers pools from request to request. */
export function createPoolMemory() {
  const pools = new Map<string, SeenPool>();

  function take(told: Told): PoolSample {
    const key = JSON.stringify([told.service, told.pool]);
    const pool = pools.get(key) ?? { name: told.pool, service: told.service, replicas: new Map() };
    // The least recently mentioned one goes first.
    pools.delete(key);
    if (pools.size >= MAX_POOLS) dropFirst(pools);
    pools.set(key, pool);
    const replica = pool.replicas.get(told.replica) ?? { at: told.at, levels: none() };
    pool.replicas.delete(told.replica);
    if (pool.replicas.size >= MAX_REPLICAS) dropFirst(pool.replicas);
    pool.replicas.set(told.replica, replica);
    replica.at = Math.max(replica.at, told.at);
    for (const [field, value] of told.levels) replica.levels[field] = value;
    replica.levels.timeouts += told.addedTimeouts;
    return sampleOf(pool, told.at);
  }

  return {
    /** For one request. */
    open(): PoolPoints {
      const told = new Map<string, Told>();
      return {
        point: (resource, _scope, metric, point) => {
          if (metric.name.startsWith(PREFIX)) note(told, resource, metric, point);
        },
        samples: () => [...told.values()].sort((a, b) => a.at - b.at).map(take),
      };
    },
  };
}

function note(
  told: Map<string, Told>,
  resource: Resource,
  metric: { name: string; kind: string; temporality: number },
  point: Point,
): void {
  const names = NAMES.find(({ prefix }) => metric.name.startsWith(prefix));
  if (!names) return;
  const what = metric.name.slice(names.prefix.length);
  const pool = attribute(point.attributes, names.pool);
  const field =
    what === names.count ? STATES[attribute(point.attributes, names.state)] : FIELDS[what];
  if (pool === '' || !field || (metric.kind !== 'gauge' && metric.kind !== 'sum')) return;
  const at = Number(point.timeNs / 1_000_000n);
  const service = attribute(resource.attributes, 'service.name');
  const replica = attribute(resource.attributes, 'service.instance.id');
  const key = JSON.stringify([service, replica, pool, at]);
  const entry = told.get(key) ?? {
    pool,
    service,
    replica,
    at,
    levels: new Map(),
    addedTimeouts: 0,
  };
  told.set(key, entry);
  if (field === 'timeouts' && metric.temporality === DELTA) entry.addedTimeouts += point.value;
  // Several series of one pool (by server, by database) are parts of it.
  else entry.levels.set(field, (entry.levels.get(field) ?? 0) + point.value);
}

function sampleOf(pool: SeenPool, at: number): PoolSample {
  const sum = none();
  for (const [id, replica] of pool.replicas) {
    if (replica.at < at - REPLICA_SILENT_MS) {
      pool.replicas.delete(id);
      continue;
    }
    for (const field of ['used', 'idle', 'waiting', 'max', 'timeouts'] as const) {
      sum[field] += replica.levels[field];
    }
  }
  return {
    at,
    pool: pool.name,
    kind: 'otel',
    instance: pool.service,
    server: '',
    used: toCount(sum.used),
    idle: toCount(sum.idle),
    waiting: toCount(sum.waiting),
    max: toCount(sum.max),
    reserved: 0,
    timeouts: toCount(sum.timeouts),
    holders: '[]',
  };
}

function none(): Levels {
  return { used: 0, idle: 0, waiting: 0, max: 0, timeouts: 0 };
}

function toCount(value: number): number {
  return Number.isFinite(value) ? Math.min(Math.max(0, Math.round(value)), MAX_UINT32) : 0;
}

function dropFirst(map: Map<string, unknown>): void {
  const first = map.keys().next();
  if (!first.done) map.delete(first.value);
}
