/** Rows of `run` as everybody sees them; the state of an unfinished one is in `run_live`. */
import { ALL_ENVIRONMENTS } from '../../domain/environment.ts';
import {
  RUN_STATES,
  type Run,
  type RunError,
  type RunState,
  type RunTrigger,
} from '../../domain/run.ts';
import { toRfc3339 } from '../../domain/time.ts';
import type { Expansion } from '../runs/expansion.ts';
import { traceIdOf } from '../runs/run-id.ts';
import { type Db, readInOrder, type Tx } from './connection.ts';

export interface RunRow {
  readonly id: string;
  readonly workflow: string;
  readonly engine: string;
  readonly version_id: string | null;
  readonly state: string;
  readonly live_state: RunState | null;
  readonly parameters: Record<string, unknown>;
  readonly logical_date: Date | null;
  readonly interval_start: Date | null;
  readonly interval_end: Date | null;
  readonly trigger: RunTrigger;
  readonly priority: number;
  readonly idempotency_key: string | null;
  readonly business_key: string;
  readonly parent_run_id: string | null;
  readonly retry_of: string | null;
  readonly traceparent: string | null;
  readonly created_at: Date;
  readonly started_at: Date | null;
  readonly finished_at: Date | null;
  readonly error: RunError | null;
  readonly paused_at: Date | null;
  readonly paused_by: string | null;
  /** Instances of mapped tasks; null for none. */
  readonly expanded: readonly Expansion[] | null;
  /** The run before, that it waits for. */
  readonly waits_for: string | null;
}

const COLUMNS = `
  r.id, r.workflow, r.engine, r.version_id, r.state, l.state AS live_state, r.parameters, r.logical_date,
  r.interval_start, r.interval_end, r.trigger, r.priority, r.idempotency_key, r.business_key, r.parent_run_id,
  r.retry_of, r.traceparent, r.created_at, coalesce(r.started_at, l.started_at) AS started_at, r.finished_at,
  r.error, l.paused_at, l.paused_by, r.expanded, CASE WHEN l.state = 'scheduled' THEN (
    SELECT h.after_run_id FROM signalbox.run_hold h WHERE h.run_id = r.id) END AS waits_for`;
const FROM = 'FROM signalbox.run r LEFT JOIN signalbox.run_live l ON l.run_id = r.id';

/** A run as lists and pages show it. */
export function toRun(row: RunRow): Run {
  const start = toRfc3339(row.interval_start);
  const end = toRfc3339(row.interval_end);
  return {
    id: row.id,
    workflow: row.workflow,
    engine: row.engine,
    state: row.live_state ?? (row.state as RunState),
    parameters: row.parameters,
    logicalDate: toRfc3339(row.logical_date),
    dataInterval: start !== null && end !== null ? { start, end } : null,
    trigger: row.trigger,
    priority: row.priority,
    idempotencyKey: row.idempotency_key,
    businessKey: row.business_key,
    parentRunId: row.parent_run_id,
    retryOf: row.retry_of,
    traceId: row.engine === 'signalbox' ? traceIdOf(row.id, row.traceparent) : null,
    createdAt: row.created_at.toISOString(),
    startedAt: toRfc3339(row.started_at),
    finishedAt: toRfc3339(row.finished_at),
    error: row.error,
    ...(row.paused_at === null
      ? {}
      : { pausedAt: row.paused_at.toISOString(), pausedBy: row.paused_by }),
    ...(row.waits_for === null
      ? {}
      : { waitsFor: { reason: 'depends-on-past', runId: row.waits_for } }),
  };
}

const SELECT_BY_ID = `SELECT ${COLUMNS} ${FROM} WHERE r.id = ANY($1::uuid[])`;

/** Runs by id, in no order; those that do not exist are missing. */
export function readRuns(db: Tx, ids: readonly string[]): Promise<RunRow[]> {
  return db.query<RunRow>(SELECT_BY_ID, [ids]);
}

export interface RunQuery {
  readonly workflow: string | null;
  readonly engine: string | null;
  readonly states: readonly RunState[] | null;
  /** As `listPrefix` gives it. */
  readonly prefix: string;
  readonly businessKey: string | null;
  /** Only ids below it. */
  readonly before: string | null;
  readonly limit: number;
}

/**
 * Runs by id, newest first. Where states are asked for, unfinished ones are found through `run_live`, which is
 * small, those that succeeded among all, most of which did, and the others through the indexes by `other_state`.
 */
export async function listRuns(db: Db, query: RunQuery): Promise<RunRow[]> {
  const values: unknown[] = [];
  const parameter = (value: unknown) => `$${values.push(value)}`;
  const common = [
    ...(query.workflow === null ? [] : [`r.workflow = ${parameter(query.workflow)}`]),
    ...inEnvironment(query.prefix, parameter),
    ...(query.engine === null ? [] : [`r.engine = ${parameter(query.engine)}`]),
    ...(query.businessKey === null ? [] : [`r.business_key = ${parameter(query.businessKey)}`]),
    ...(query.before === null ? [] : [`r.id < ${parameter(query.before)}::uuid`]),
  ];
  const limit = `ORDER BY id DESC LIMIT ${parameter(query.limit)}`;
  const where = (more: readonly string[]) =>
    [...common, ...more].length === 0 ? '' : `WHERE ${[...common, ...more].join(' AND ')}`;
  if (query.states === null) {
    return readInOrder<RunRow>(db, `SELECT ${COLUMNS} ${FROM} ${where([])} ${limit}`, values);
  }
  const states = parameter(query.states);
  // As constants, so that the planner sees that the index of what is not null will do; there are only these.
  const constants = query.states.filter((state) => RUN_STATES.includes(state));
  const live = `SELECT ${COLUMNS} FROM signalbox.run_live l JOIN signalbox.run r ON r.id = l.run_id
    ${where([`l.state = ANY(${states})`])}`;
  const stored = constants
    .map((state) => `(SELECT ${COLUMNS} ${FROM} ${where([stateIs(state)])} ${limit})`)
    .join(' UNION ALL ');
  return readInOrder<RunRow>(
    db,
    `SELECT * FROM ((${live} ${limit}) UNION ALL ${stored}) AS r ${limit}`,
    values,
  );
}

/** All but what a run that succeeded has: without statistics, `=` would seem to be true of hardly any, and be sorted. */
const NOT_SUCCEEDED = ['active', ...RUN_STATES.filter((state) => state !== 'succeeded')];
const SUCCEEDED = `r.state NOT IN (${NOT_SUCCEEDED.map((state) => `'${state}'`).join(', ')})`;

function stateIs(state: RunState): string {
  return state === 'succeeded' ? SUCCEEDED : `r.other_state = '${state}'`;
}

/** Runs of an environment are found by the names of its workflows, which are few. */
function inEnvironment(prefix: string, parameter: (value: unknown) => string): readonly string[] {
  if (prefix === ALL_ENVIRONMENTS) return [];
  if (prefix === '') return ["NOT starts_with(r.workflow, '~')"];
  return [
    `r.workflow = ANY(ARRAY(
       SELECT name FROM signalbox.workflow WHERE starts_with(name, ${parameter(prefix)})))`,
  ];
}
