/**
 * Rows of `run_live`: the runs that have not ended. Whoever changes one holds its lock; many are locked in id order.
 *
 * Servers keep in mind the rows that they wrote last, and record the ends of tasks on that alone, without a lock and
 * without reading (`recordUnread`): the statement asks that each row still has the `xmin` that it was written with.
 * Any change of a row, whoever makes it, gives it another one; so nobody has to know of this but who records.
 *
 * What a run's holder runs of it is packed in the row (`held.ts`). `lockLiveRuns` unpacks it into rows of
 * `task_live`: whoever locks a run with it finds there everything that is ready or runs.
 */
import type { RunError, RunState } from '../../domain/run.ts';
import type { EpochMs } from '../../domain/time.ts';
import type { Expansion } from '../runs/expansion.ts';
import { unbundle } from './bundle.ts';
import {
  bytesColumn,
  jsonText,
  plainArray,
  plainColumn,
  textColumn,
  unlessAll,
} from './columns.ts';
import { sqlState, type Tx } from './connection.ts';
import { readAttempts } from './expansion.ts';
import { type HeldEntry, packHeld, spillHeld, unpackHeld } from './held.ts';

export interface LiveRun {
  readonly runId: string;
  readonly state: RunState;
  readonly tasks: Uint8Array;
  readonly startedAt: EpochMs | null;
  readonly error: RunError | null;
  readonly cancelReason: string | null;
  /** Whether nothing new may start. */
  readonly paused: boolean;
  /** Instances of mapped tasks; null for none. */
  readonly expanded: readonly Expansion[] | null;
  /** Attempts that pending tasks had before, in a run that goes on after its end; null for none. */
  readonly lastAttempts: ReadonlyMap<number, number> | null;
}

/** A live run with what its holder runs of it. */
export interface HeldLiveRun extends LiveRun {
  /** Row of `agent_session`; null where nothing is held. */
  readonly holder: string | null;
  readonly held: ReadonlyMap<number, HeldEntry>;
  /** Of the row, as it was last written. */
  readonly xmin: string;
}

const LOCK = `
  SELECT run_id, state, tasks, (extract(epoch FROM started_at) * 1000)::float8, error, cancel_reason,
         paused_at IS NOT NULL, holder, held, xmin::text, expanded, last_attempts
  FROM signalbox.run_live WHERE run_id = ANY($1::uuid[]) ORDER BY run_id FOR UPDATE`;

const LOCK_FREE = `${LOCK} SKIP LOCKED`;

type LockedRow = readonly [
  string,
  RunState,
  Buffer,
  number | null,
  RunError | null,
  string | null,
  boolean,
  string | null,
  Buffer | null,
  string,
  readonly Expansion[] | null,
  readonly (readonly [number, number])[] | null,
];

/**
 * Locks these runs in id order, and makes rows of `task_live` of all that runs of them. Runs that have ended are
 * missing.
 */
export async function lockLiveRuns(
  tx: Tx,
  runIds: Iterable<string>,
): Promise<Map<string, LiveRun>> {
  const runs = await lockHeldRuns(tx, runIds);
  if (runs.size > 0) await unbundle(tx, [...runs.keys()]);
  const holding = [...runs.values()].flatMap(({ runId, holder }) => (holder === null ? [] : runId));
  if (holding.length > 0) await spillHeld(tx, holding);
  return runs;
}

/** Locks those of the runs that nobody has locked, and leaves what is held where it is. Waits for nothing. */
export function lockFreeRuns(tx: Tx, runIds: Iterable<string>): Promise<Map<string, HeldLiveRun>> {
  return lock(tx, LOCK_FREE, runIds);
}

/** Locks these runs in id order and leaves what is held where it is: for who records ends of tasks. */
export function lockHeldRuns(tx: Tx, runIds: Iterable<string>): Promise<Map<string, HeldLiveRun>> {
  return lock(tx, LOCK, runIds);
}

async function lock(
  tx: Tx,
  sql: string,
  runIds: Iterable<string>,
): Promise<Map<string, HeldLiveRun>> {
  const rows = await tx.rows<LockedRow>(sql, [plainArray([...runIds])]);
  return new Map(
    rows.map(([runId, state, tasks, startedAt, error, cancelReason, paused, ...more]) => {
      const [holder, held, xmin, expanded, attempts] = more;
      return [
        runId,
        {
          ...{
            runId,
            state,
            tasks,
            startedAt,
            error,
            cancelReason,
            paused,
            holder,
            xmin,
            expanded,
          },
          ...{ held: unpackHeld(held), lastAttempts: readAttempts(attempts) },
        },
      ];
    }),
  );
}

/** What a live run has become. */
export interface LiveRunChange {
  readonly runId: string;
  readonly state: RunState;
  readonly tasks: Uint8Array;
  readonly error: RunError | null;
  readonly startedAt: EpochMs;
  readonly holder: string | null;
  readonly held: ReadonlyMap<number, HeldEntry>;
}

const CHANGED = `
  SET state = coalesce(c.state, 'running'), tasks = c.tasks, error = c.error, holder = c.holder, held = c.held,
      started_at = coalesce(r.started_at, to_timestamp(c.started_ms / 1000))
  FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::jsonb[], $5::float8[], $6::bigint[], $7::bytea[]`;
const COLUMNS = 'run_id, state, tasks, error, started_ms, holder, held';
const UPDATE = `
  UPDATE signalbox.run_live r ${CHANGED}) AS c (${COLUMNS})
  WHERE r.run_id = c.run_id`;
/** Only rows that are as they were; it fails where one is not. */
const UPDATE_UNREAD = `
  WITH done AS (
    UPDATE signalbox.run_live r ${CHANGED}, $8::xid[]) AS c (${COLUMNS}, was)
    WHERE r.run_id = c.run_id AND r.xmin = c.was RETURNING 1)
  SELECT signalbox.require(count(*) = $9::int) FROM done`;

function valuesOf(changes: readonly LiveRunChange[]): string[] {
  return [
    plainColumn(changes, ({ runId }) => runId),
    unlessAll(changes, ({ state }) => state, 'running', plainColumn),
    bytesColumn(changes, ({ tasks }) => tasks),
    textColumn(changes, ({ error }) => jsonText(error)),
    plainColumn(changes, ({ startedAt }) => startedAt),
    plainColumn(changes, ({ holder }) => holder),
    bytesColumn(changes, ({ held }) => packHeld(held)),
  ];
}

/** Stores changes of runs that go on; the caller holds their locks. */
export async function updateLiveRuns(tx: Tx, changes: readonly LiveRunChange[]): Promise<void> {
  if (changes.length > 0) await tx.execute(UPDATE, valuesOf(changes));
}

/**
 * Stores changes of runs that nobody locked.
 * @param was `xmin` of each row; the transaction fails where one has another by now
 */
export async function updateUnreadRuns(
  tx: Tx,
  changes: readonly LiveRunChange[],
  was: readonly string[],
): Promise<void> {
  if (changes.length === 0) return;
  await tx.execute(UPDATE_UNREAD, [...valuesOf(changes), plainArray(was), changes.length]);
}

const REQUIRE_LEASE = `
  SELECT pg_current_xact_id()::xid::text, signalbox.require(count(*) = $2::int)
  FROM signalbox.agent_session
  WHERE id = ANY($1::bigint[]) AND state = 'live' AND lease_expires_at > clock_timestamp()`;

/**
 * Fails the transaction where one of the sessions may not be handed anything any more.
 * @returns the `xmin` of what the transaction writes
 */
export async function requireLease(tx: Tx, sessionIds: readonly string[]): Promise<string> {
  const [row] = await tx.rows<readonly [string]>(REQUIRE_LEASE, [
    plainArray(sessionIds),
    sessionIds.length,
  ]);
  return row?.[0] ?? '';
}

/** The `xmin` of what the transaction writes. */
export async function currentXid(tx: Tx): Promise<string> {
  const [row] = await tx.rows<readonly [string]>('SELECT pg_current_xact_id()::xid::text');
  return row?.[0] ?? '';
}

/** 25P02 is told by what went out beside the statement that failed, and may be heard first. */
const CONFLICTS = new Set(['SB001', '40P01', '40001', '25P02']);

/** Whether a transaction failed since what it took for so is not so, or somebody was in its way. */
export function isConflict(error: unknown): boolean {
  return CONFLICTS.has(sqlState(error) ?? '');
}

/** How a run ended. */
export interface RunEnd {
  readonly runId: string;
  readonly state: Extract<RunState, 'succeeded' | 'failed' | 'cancelled' | 'skipped'>;
  readonly startedAt: EpochMs | null;
  readonly error: RunError | null;
  readonly result: unknown;
  /** How each task ended; null where all succeeded. */
  readonly tasks: Uint8Array | null;
}

const DELETE = `DELETE FROM signalbox.run_live WHERE run_id = ANY($1::uuid[])`;
const END = `
  UPDATE signalbox.run r
  SET state = coalesce(e.state, 'succeeded'), started_at = coalesce(r.started_at, to_timestamp(e.started_ms / 1000)),
      finished_at = to_timestamp($1::float8 / 1000), error = e.error, result = coalesce(e.result, r.result),
      tasks = e.tasks
  FROM unnest($2::uuid[], $3::text[], $4::float8[], $5::jsonb[], $6::jsonb[], $7::bytea[])
    AS e (id, state, started_ms, error, result, tasks)
  WHERE r.id = e.id`;

/** As `UPDATE_UNREAD`. */
const DELETE_UNREAD = `
  WITH done AS (
    DELETE FROM signalbox.run_live r USING unnest($1::uuid[], $2::xid[]) AS c (run_id, was)
    WHERE r.run_id = c.run_id AND r.xmin = c.was RETURNING 1)
  SELECT signalbox.require(count(*) = $3::int) FROM done`;

/**
 * Moves runs out of `run_live`.
 * @param was `xmin` of each row, where nobody locked them; null where the caller holds their locks
 */
export async function endRuns(
  tx: Tx,
  ends: readonly RunEnd[],
  now: EpochMs,
  was: readonly string[] | null = null,
): Promise<void> {
  if (ends.length === 0) return;
  const ids = plainArray(ends.map(({ runId }) => runId));
  await Promise.all([
    was === null
      ? tx.execute(DELETE, [ids])
      : tx.execute(DELETE_UNREAD, [ids, plainArray(was), ends.length]),
    tx.execute(END, [
      now,
      ids,
      unlessAll(ends, ({ state }) => state, 'succeeded', plainColumn),
      plainColumn(ends, ({ startedAt }) => startedAt),
      textColumn(ends, ({ error }) => jsonText(error)),
      textColumn(ends, ({ result }) => jsonText(result)),
      bytesColumn(ends, ({ tasks }) => tasks),
    ]),
  ]);
}
