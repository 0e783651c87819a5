/**
 * What never changes of a run, cached in each server: assignments and events are made of it, so that dispatch
 * reads nothing but the live tables.
 */
import type { RunOrigin } from '../../domain/origin.ts';
import type { RunPartitions } from '../../domain/partition.ts';
import type { DataInterval, RunTrigger } from '../../domain/run.ts';
import { toRfc3339 } from '../../domain/time.ts';
import type { Tx } from '../store/connection.ts';
import { readOrigins } from '../store/run-origin.ts';
import { readRunPartitions } from '../store/run-partition.ts';
import { type Expansion, expandVersion } from './expansion.ts';
import { isUuid } from './identifiers.ts';
import { createRecent } from './recent.ts';
import { traceparentOf } from './run-id.ts';
import type { Version, Versions } from './versions.ts';

export interface RunInfo {
  readonly runId: string;
  readonly workflow: string;
  readonly version: Version;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly logicalDate: string | null;
  readonly dataInterval: DataInterval | null;
  readonly traceparent: string;
  readonly priority: number;
  readonly trigger: RunTrigger;
  /** Who asked for it; null where that was a person or a schedule. */
  readonly origin: RunOrigin | null;
  /** Partitions that it makes; null for most. */
  readonly partitions: RunPartitions | null;
}

export interface RunInfos {
  get(runId: string): RunInfo | undefined;
  /** Reads those that are not cached. A run that does not exist, or has no graph, stays unknown. */
  load(tx: Tx, runIds: Iterable<string>): Promise<void>;
  /**
   * As `load`, and looks up which instances of mapped tasks there are now, where these tasks (by index or key) are
   * instances: another server may have read a list, or read it anew, since this one looked.
   */
  loadTasks(
    tx: Tx,
    tasks: readonly { readonly runId: string; readonly task: number | string }[],
  ): Promise<void>;
  add(info: RunInfo): void;
}

const MAX_RUNS = 50_000;
/** Triggers of runs that have an origin. */
const ASKED_FOR: ReadonlySet<RunTrigger> = new Set<RunTrigger>([
  'backfill',
  'sensor',
  'workflow',
  'asset',
]);
/** A run with parameters counts for several, since they may be large. */
const WEIGHT_OF_PARAMETERS = 10;
/** A graph of its own, with an object for each instance of a mapped task. */
const WEIGHT_OF_INSTANCE = 0.5;

const SELECT_RUNS = `
  SELECT id, workflow, version_id, parameters, logical_date, interval_start, interval_end, traceparent,
         priority, trigger, expanded
  FROM signalbox.run WHERE id = ANY($1::uuid[]) AND version_id IS NOT NULL`;

interface Row {
  readonly id: string;
  readonly workflow: string;
  readonly version_id: string;
  readonly parameters: Record<string, unknown>;
  readonly logical_date: Date | null;
  readonly interval_start: Date | null;
  readonly interval_end: Date | null;
  readonly traceparent: string | null;
  readonly priority: number;
  readonly trigger: RunTrigger;
  readonly expanded: readonly Expansion[] | null;
}

const SELECT_EXPANDED = 'SELECT id, expanded FROM signalbox.run WHERE id = ANY($1::uuid[])';

/** Makes a cache for one database. */
export function createRunInfos(versions: Versions): RunInfos {
  const cache = createRecent<string, RunInfo>(MAX_RUNS, weightOf);
  const infos: RunInfos = {
    get: (runId) => cache.get(runId),
    add: (info) => cache.set(info.runId, info),
    async loadTasks(tx, tasks) {
      await infos.load(
        tx,
        tasks.map(({ runId }) => runId),
      );
      const grown = new Set<string>();
      for (const { runId, task } of tasks) {
        if (!grown.has(runId) && isNoOwnTask(cache.get(runId), task)) grown.add(runId);
      }
      if (grown.size === 0) return;
      const rows = await tx.query<Pick<Row, 'id' | 'expanded'>>(SELECT_EXPANDED, [[...grown]]);
      for (const { id, expanded } of rows) {
        const info = cache.get(id);
        const version = info && expandVersion(info.version, expanded);
        if (version && version !== info.version) cache.set(id, { ...info, version });
      }
    },
    async load(tx, runIds) {
      const missing = new Set<string>();
      for (const id of runIds) if (cache.get(id) === undefined && isUuid(id)) missing.add(id);
      if (missing.size === 0) return;
      const rows = await tx.query<Row>(SELECT_RUNS, [[...missing]]);
      await versions.load(
        tx,
        rows.map((row) => row.version_id),
      );
      const origins = await readOrigins(
        tx,
        rows.flatMap(({ id, trigger }) => (ASKED_FOR.has(trigger) ? [id] : [])),
      );
      const partitions = await readRunPartitions(
        tx,
        rows.flatMap(({ id, version_id, trigger }) =>
          mayHavePartitions(versions.get(version_id), trigger) ? [id] : [],
        ),
      );
      for (const row of rows) {
        const version = versions.get(row.version_id);
        if (!version) continue;
        const more = { origin: origins.get(row.id) ?? null, partitions: partitions.get(row.id) };
        cache.set(row.id, infoOf(row, version, more));
      }
    },
  };
  return infos;
}

/** Whether the workflow's own graph does not have it: only graphs with mapped tasks have others. */
function isNoOwnTask(info: RunInfo | undefined, task: number | string): boolean {
  if (!info || info.version.mapsOver.size === 0) return false;
  const { tasks, indexOf } = info.version.base;
  return typeof task === 'number' ? task >= tasks.length : !indexOf.has(task);
}

function weightOf({ parameters, version }: RunInfo): number {
  const instances = version.tasks.length - version.base.tasks.length;
  const weight = Object.keys(parameters).length > 0 ? WEIGHT_OF_PARAMETERS : 1;
  return weight + instances * WEIGHT_OF_INSTANCE;
}

/** Whether its tasks make assets; asked before a look into the table, since hardly any run does. */
function mayHavePartitions(version: Version | undefined, trigger: RunTrigger): boolean {
  if (trigger === 'backfill') return true;
  return version?.tasks.some(({ asset, produces }) => asset?.partitions || produces) ?? false;
}

function infoOf(
  row: Row,
  version: Version,
  more: { origin: RunOrigin | null; partitions: RunPartitions | undefined },
): RunInfo {
  const start = toRfc3339(row.interval_start);
  const end = toRfc3339(row.interval_end);
  return {
    runId: row.id,
    workflow: row.workflow,
    version: expandVersion(version, row.expanded),
    parameters: row.parameters,
    logicalDate: toRfc3339(row.logical_date),
    dataInterval: start !== null && end !== null ? { start, end } : null,
    traceparent: traceparentOf(row.id, row.traceparent),
    priority: row.priority,
    trigger: row.trigger,
    origin: more.origin,
    partitions: more.partitions ?? null,
  };
}
