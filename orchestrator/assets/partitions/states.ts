/** Partitions of an asset with their states: a page of them, and how many there are of each. */
import { SignalboxError } from '../../../domain/errors.ts';
import {
  type AssetPartition,
  PARTITION_STATES,
  type PartitionCounts,
  type PartitionState,
  type PartitionsDefinition,
  type StaleCause,
} from '../../../domain/partition.ts';
import type { Clock } from '../../../domain/time.ts';
import { readPageQuery, toPage } from '../../catalog/page.ts';
import { sharedWorkflowsOf } from '../../catalog/shared-workflows.ts';
import type { Page, PartitionQuery } from '../../service.ts';
import type { Db } from '../../store/connection.ts';
import { readDynamicKeys } from '../../store/dynamic-partition.ts';
import {
  type PartitionRow,
  readPartitioned,
  readPartitionStates,
  readPartitions,
  readRunningPartitions,
} from '../../store/partition.ts';
import type { Staleness } from '../staleness.ts';
import { dynamicNamesOf, type PartitionSet, partitionSet } from './partition-set.ts';
import { keysInRange } from './select.ts';

/** A partitioned asset at a moment. */
export interface Partitioned {
  readonly key: string;
  readonly definition: PartitionsDefinition;
  readonly set: PartitionSet;
  /** Whether one run may make many. */
  readonly range: boolean;
  readonly workflows: readonly string[];
}

/** @throws SignalboxError `not-found`, `conflict` for an asset without partitions */
export async function findPartitioned(db: Db, clock: Clock, key: string): Promise<Partitioned> {
  const found = await readPartitioned(db, key);
  if (!found) throw new SignalboxError('not-found', `asset ${key}`);
  const { partitions: definition } = found;
  if (definition === null) throw new SignalboxError('conflict', `${key} has no partitions`);
  const dynamic = await readDynamicKeys(db, dynamicNamesOf(definition));
  return {
    key,
    definition,
    set: partitionSet(definition, clock.now(), dynamic),
    range: found.partition_runs === 'range',
    workflows: [
      key,
      ...(found.workflow === null ? [] : [found.workflow]),
      ...found.producers,
      ...sharedWorkflowsOf([key]),
    ],
  };
}

/** State of each partition that is not simply missing, by key. */
export async function statesOf(
  db: Db,
  staleness: Staleness,
  of: Partitioned,
): Promise<ReadonlyMap<string, PartitionState>> {
  const [rows, running, causes] = await Promise.all([
    readPartitionStates(db, of.key),
    readRunningPartitions(db, of.key, of.workflows),
    staleness.ofPartitions(of.key, null),
  ]);
  const states = new Map<string, PartitionState>();
  for (const [partition, made, degraded, failed] of rows) {
    const stale = (causes.get(partition)?.length ?? 0) > 0;
    states.set(partition, stateOf({ made, degraded, failed, stale }));
  }
  for (const partition of running.keys()) states.set(partition, 'running');
  return states;
}

function stateOf(of: {
  readonly made: boolean;
  readonly degraded: boolean;
  readonly failed: boolean;
  readonly stale: boolean;
}): PartitionState {
  if (of.failed) return 'failed';
  if (!of.made) return 'missing';
  if (of.degraded) return 'degraded';
  return of.stale ? 'stale' : 'fresh';
}

export async function countPartitions(
  db: Db,
  staleness: Staleness,
  of: Partitioned,
): Promise<PartitionCounts> {
  const states = await statesOf(db, staleness, of);
  const counts = Object.fromEntries(PARTITION_STATES.map((state) => [state, 0])) as Record<
    PartitionState,
    number
  >;
  let seen = 0;
  for (const [key, state] of states) {
    const place = of.set.indexOf(key);
    if (place === null) continue;
    // One that is under way before its time counts as what it is, but is not expected.
    if (place < of.set.size) seen += 1;
    if (place < of.set.size || state !== 'missing') counts[state] += 1;
  }
  counts.missing += Math.max(0, of.set.size - seen);
  return { ...counts, total: of.set.size };
}

/** Partitions in their order, the newest first unless told; the cursor is a key. */
export async function listPartitions(
  db: Db,
  staleness: Staleness,
  of: Partitioned,
  query: PartitionQuery,
): Promise<Page<AssetPartition>> {
  const { after, limit } = readPageQuery(query);
  const { low, high } = keysInRange(of.definition, of.set, query);
  const newestFirst = query.order !== 'oldest';
  const cursor = after === null ? null : of.set.indexOf(after);
  if (after !== null && cursor === null) throw new SignalboxError('invalid-cursor');
  const step = newestFirst ? -1 : 1;
  const first = cursor === null ? (newestFirst ? high : low) : cursor + step;
  const states = query.state === undefined ? null : await statesOf(db, staleness, of);
  const keys: string[] = [];
  for (let at = first; at >= low && at <= high && keys.length <= limit; at += step) {
    const key = of.set.at(at);
    if (states === null || (states.get(key) ?? 'missing') === query.state) keys.push(key);
  }
  const shown = await show(db, staleness, of, keys.slice(0, limit));
  const page = toPage(keys, limit, String, (key) => shown.get(key));
  return { ...page, items: page.items.filter((item) => item !== undefined) };
}

async function show(
  db: Db,
  staleness: Staleness,
  of: Partitioned,
  keys: readonly string[],
): Promise<ReadonlyMap<string, AssetPartition>> {
  const [rows, running, causes] = await Promise.all([
    readPartitions(db, of.key, keys),
    readRunningPartitions(db, of.key, of.workflows),
    staleness.ofPartitions(of.key, keys),
  ]);
  const byKey = new Map(rows.map((row) => [row.partition, row]));
  return new Map(
    keys.map((key) => [
      key,
      toShown(of, key, byKey.get(key), running.get(key), causes.get(key) ?? []),
    ]),
  );
}

function toShown(
  of: Partitioned,
  key: string,
  row: PartitionRow | undefined,
  runningIn: string | undefined,
  causes: readonly StaleCause[],
): AssetPartition {
  const made = row?.version_id != null;
  const failed = row?.failed_at != null;
  const state = stateOf({
    made,
    failed,
    degraded: row?.degraded ?? false,
    stale: causes.length > 0,
  });
  const interval = of.set.interval(key);
  return {
    key,
    state: runningIn === undefined ? state : 'running',
    interval: interval && {
      start: new Date(interval.start).toISOString(),
      end: new Date(interval.end).toISOString(),
    },
    dimensions: of.set.dimensions(key),
    at: row?.at?.toISOString() ?? null,
    recordedAt: row?.recorded_at?.toISOString() ?? null,
    materializationId: row?.version_id ?? null,
    runId: runningIn ?? (failed ? row.failed_run : (row?.run_id ?? null)),
    dataVersion: row?.data_version ?? null,
    codeVersion: row?.code_version ?? null,
    error: failed ? errorOf(row.failure) : null,
    causes,
  };
}

function errorOf(failure: PartitionRow['failure']): AssetPartition['error'] {
  const { name, message } = (failure?.error ?? {}) as { name?: unknown; message?: unknown };
  return {
    name: String(name ?? 'Error'),
    message: String(message ?? failure?.state ?? 'it failed'),
  };
}
