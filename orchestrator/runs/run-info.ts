/**
 * What never changes of a run, cached in each server: assignments and events are made of it, so that dispatch
 * reads nothing but the live tables.
 */
import type { RunOrigin } from '../../domain/origin.ts';
import type { DataInterval, RunTrigger } from '../../domain/run.ts';
import { toRfc3339 } from '../../domain/time.ts';
import type { Tx } from '../store/connection.ts';
import { readOrigins } from '../store/run-origin.ts';
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
}

export interface RunInfos {
  get(runId: string): RunInfo | undefined;
  /** Reads those that are not cached. A run that does not exist, or has no graph, stays unknown. */
  load(tx: Tx, runIds: Iterable<string>): Promise<void>;
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

const SELECT_RUNS = `
  SELECT id, workflow, version_id, parameters, logical_date, interval_start, interval_end, traceparent,
         priority, trigger
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
}

/** Makes a cache for one database. */
export function createRunInfos(versions: Versions): RunInfos {
  const cache = createRecent<string, RunInfo>(MAX_RUNS, ({ parameters }) =>
    Object.keys(parameters).length > 0 ? WEIGHT_OF_PARAMETERS : 1,
  );
  return {
    get: (runId) => cache.get(runId),
    add: (info) => cache.set(info.runId, info),
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
      for (const row of rows) {
        const version = versions.get(row.version_id);
        if (version) cache.set(row.id, infoOf(row, version, origins.get(row.id) ?? null));
      }
    },
  };
}

function infoOf(row: Row, version: Version, origin: RunOrigin | null): RunInfo {
  const start = toRfc3339(row.interval_start);
  const end = toRfc3339(row.interval_end);
  return {
    runId: row.id,
    workflow: row.workflow,
    version,
    parameters: row.parameters,
    logicalDate: toRfc3339(row.logical_date),
    dataInterval: start !== null && end !== null ? { start, end } : null,
    traceparent: traceparentOf(row.id, row.traceparent),
    priority: row.priority,
    trigger: row.trigger,
    origin,
  };
}
