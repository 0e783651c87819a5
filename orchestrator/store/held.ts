/**
 * What a session runs of a run's tasks, packed in `run_live.held`: tasks that were handed straight on to the
 * session that holds the run (`run_live.holder`). Everything else that runs has a row in `task_live`. Whoever asks
 * which tasks somebody holds looks in both places; whoever wants to change single tasks of a run spills first
 * (`spillHeld`), and then finds all of them as rows.
 */
import { plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

/** A running task of a run, in the hands of the run's holder. */
export interface HeldEntry {
  readonly task: number;
  readonly attempt: number;
  readonly retriesLeft: number;
  readonly lost: number;
  readonly token: string;
  /** Since when it is ready and since when it is in the holder's hands, in Unix milliseconds. */
  readonly readyAt: number;
  readonly at: number;
}

const ENTRY_BYTES = 34;
const WORD = 2 ** 32;

/** The bytes of these entries; null for none. */
export function packHeld(entries: ReadonlyMap<number, HeldEntry>): Buffer | null {
  if (entries.size === 0) return null;
  const bytes = Buffer.allocUnsafe(entries.size * ENTRY_BYTES);
  let offset = 0;
  for (const { task, attempt, retriesLeft, lost, token, readyAt, at } of entries.values()) {
    const number = Number(token);
    bytes.writeInt32BE(task, offset);
    bytes.writeInt16BE(attempt, offset + 4);
    bytes.writeInt16BE(retriesLeft, offset + 6);
    bytes.writeInt16BE(lost, offset + 8);
    bytes.writeUInt32BE(Math.floor(number / WORD), offset + 10);
    bytes.writeUInt32BE(number % WORD, offset + 14);
    bytes.writeDoubleBE(readyAt, offset + 18);
    bytes.writeDoubleBE(at, offset + 26);
    offset += ENTRY_BYTES;
  }
  return bytes;
}

/** Entries by task. */
export function unpackHeld(bytes: Buffer | null): Map<number, HeldEntry> {
  const entries = new Map<number, HeldEntry>();
  if (bytes === null) return entries;
  for (let offset = 0; offset + ENTRY_BYTES <= bytes.length; offset += ENTRY_BYTES) {
    const task = bytes.readInt32BE(offset);
    entries.set(task, {
      task,
      attempt: bytes.readInt16BE(offset + 4),
      retriesLeft: bytes.readInt16BE(offset + 6),
      lost: bytes.readInt16BE(offset + 8),
      token: String(bytes.readUInt32BE(offset + 10) * WORD + bytes.readUInt32BE(offset + 14)),
      readyAt: bytes.readDoubleBE(offset + 18),
      at: bytes.readDoubleBE(offset + 26),
    });
  }
  return entries;
}

/** Tasks that the session of a row holds, in SQL: `l` is a row of run_live. */
export const HELD_COUNT = `coalesce(octet_length(l.held), 0) / ${ENTRY_BYTES}`;

/** What a session holds of one run, as rows of run_live tell. */
export interface HeldRun {
  readonly runId: string;
  readonly sessionId: string;
  readonly agent: string;
  readonly entries: ReadonlyMap<number, HeldEntry>;
}

type HeldRow = readonly [string, string, string | null, Buffer | null];

function toHeldRun([runId, sessionId, agent, held]: HeldRow): HeldRun {
  return { runId, sessionId, agent: agent ?? '', entries: unpackHeld(held) };
}

const OF_SESSIONS = `
  SELECT l.run_id, l.holder, s.name, l.held,
         (extract(epoch FROM clock_timestamp()) * 1000 - $2::float8)::float8
  FROM signalbox.run_live l LEFT JOIN signalbox.agent_session s ON s.id = l.holder WHERE l.holder = ANY($1::bigint[])`;

/** What these sessions hold of runs for longer than `minAgeMs`. */
export async function findHeldRuns(
  tx: Tx,
  sessionIds: readonly string[],
  minAgeMs: number,
): Promise<HeldRun[]> {
  const rows = await tx.rows<readonly [...HeldRow, number]>(OF_SESSIONS, [
    plainArray(sessionIds),
    minAgeMs,
  ]);
  return rows.map(([runId, holder, agent, held, youngest]) => {
    const run = toHeldRun([runId, holder, agent, held]);
    const old = [...run.entries].filter(([, { at }]) => at <= youngest);
    return { ...run, entries: new Map(old) };
  });
}

/** As `findOrphaned` of `task_live`: from holder to holder through the index. */
const ORPHANED = `
  WITH RECURSIVE holder AS (
    (SELECT holder AS id FROM signalbox.run_live WHERE holder IS NOT NULL ORDER BY holder LIMIT 1)
    UNION ALL
    SELECT (SELECT l.holder FROM signalbox.run_live l WHERE l.holder > h.id ORDER BY l.holder LIMIT 1)
    FROM holder h WHERE h.id IS NOT NULL
  ), ended AS MATERIALIZED (
    SELECT h.id FROM holder h
    WHERE h.id IS NOT NULL AND NOT EXISTS (
      SELECT FROM signalbox.agent_session s WHERE s.id = h.id AND s.state = 'live')
  )
  SELECT l.run_id, l.holder, s.name, l.held
  FROM signalbox.run_live l LEFT JOIN signalbox.agent_session s ON s.id = l.holder
  WHERE l.holder IN (SELECT id FROM ended) LIMIT $1`;

/** Runs whose holder has ended, or is not there at all. */
export async function findOrphanedRuns(tx: Tx, limit: number): Promise<HeldRun[]> {
  return (await tx.rows<HeldRow>(ORPHANED, [limit])).map(toHeldRun);
}

/** Ids of all runs that somebody holds. */
export async function findAllHeld(tx: Tx): Promise<string[]> {
  const rows = await tx.rows<readonly [string]>(
    'SELECT run_id FROM signalbox.run_live WHERE holder IS NOT NULL ORDER BY run_id',
  );
  return rows.map(([runId]) => runId);
}

const OF_RUNS = `
  SELECT run_id, task, attempt, token, lost, NULL::bytea FROM signalbox.task_live
  WHERE run_id = ANY($1::uuid[]) AND session_id = $2 AND state = 2
  UNION ALL
  SELECT run_id, 0, 0, 0, 0, held FROM signalbox.run_live WHERE run_id = ANY($1::uuid[]) AND holder = $2`;

/** All that a session runs of these runs, wherever it stands. */
export async function findHeldOf(
  tx: Tx,
  sessionId: string,
  runIds: readonly string[],
): Promise<{ runId: string; task: number; attempt: number; token: string; lost: number }[]> {
  const rows = await tx.rows<readonly [string, number, number, string, number, Buffer | null]>(
    OF_RUNS,
    [plainArray(runIds), sessionId],
  );
  return rows.flatMap(([runId, task, attempt, token, lost, held]) =>
    held === null
      ? [{ runId, task, attempt, token, lost }]
      : [...unpackHeld(held).values()].map((entry) => ({ runId, ...entry })),
  );
}

/** What is held of one run; undefined where nothing is. */
export async function readHeldOf(tx: Tx, runId: string): Promise<HeldRun | undefined> {
  const [row] = await tx.rows<HeldRow>(
    `SELECT l.run_id, l.holder, s.name, l.held
     FROM signalbox.run_live l LEFT JOIN signalbox.agent_session s ON s.id = l.holder
     WHERE l.run_id = $1 AND l.holder IS NOT NULL`,
    [runId],
  );
  return row && toHeldRun(row);
}

/** A held task as a row of its own. */
interface Spilled extends HeldEntry {
  readonly runId: string;
  readonly sessionId: string;
  readonly queue: string;
  readonly priority: number;
}

const FIND_TO_SPILL = `
  SELECT run_id, holder, held, version_id, priority FROM signalbox.run_live
  WHERE run_id = ANY($1::uuid[]) AND holder IS NOT NULL ORDER BY run_id FOR UPDATE`;
const PLACES = `
  SELECT v.id, (t.place - 1)::int, t.task->>'queue', coalesce((t.task->>'priority')::int, 0)
  FROM signalbox.workflow_version v
  CROSS JOIN LATERAL jsonb_array_elements(v.graph->'tasks') WITH ORDINALITY AS t (task, place)
  WHERE v.id = ANY($1::bigint[])`;
const INSERT_SPILLED = `
  INSERT INTO signalbox.task_live (
    run_id, task, state, queue, priority, attempt, retries_left, lost, session_id, token, ready_at, started_at)
  SELECT run_id, task, 2, queue, priority, attempt, retries_left, lost, session_id, token,
         to_timestamp(ready_ms / 1000), to_timestamp(at_ms / 1000)
  FROM unnest($1::uuid[], $2::int[], $3::text[], $4::smallint[], $5::smallint[], $6::smallint[], $7::smallint[],
              $8::bigint[], $9::bigint[], $10::float8[], $11::float8[])
    AS t (run_id, task, queue, priority, attempt, retries_left, lost, session_id, token, ready_ms, at_ms)`;
const LET_GO = `UPDATE signalbox.run_live SET holder = NULL, held = NULL WHERE run_id = ANY($1::uuid[])`;
const MAX_PRIORITY = 32_767;

/** Makes rows of task_live of what is held of these runs. The caller holds their locks, or gets them here. */
export async function spillHeld(tx: Tx, runIds: readonly string[]): Promise<void> {
  const runs = await tx.rows<readonly [string, string, Buffer | null, string, number]>(
    FIND_TO_SPILL,
    [plainArray(runIds)],
  );
  if (runs.length === 0) return;
  const versions = [...new Set(runs.map(([, , , versionId]) => versionId))];
  const places = new Map(
    (await tx.rows<readonly [string, number, string, number]>(PLACES, [plainArray(versions)])).map(
      ([versionId, task, queue, priority]) => [`${versionId} ${task}`, { queue, priority }],
    ),
  );
  const spilled = runs.flatMap(([runId, sessionId, held, versionId, priority]): Spilled[] =>
    [...unpackHeld(held).values()].map((entry) => {
      const place = places.get(`${versionId} ${entry.task}`);
      const sum = priority + (place?.priority ?? 0);
      return {
        ...entry,
        ...{ runId, sessionId, queue: place?.queue ?? 'default' },
        priority: Math.max(-MAX_PRIORITY, Math.min(MAX_PRIORITY, sum)),
      };
    }),
  );
  await Promise.all([
    tx.execute(INSERT_SPILLED, [
      plainArray(spilled.map(({ runId }) => runId)),
      plainArray(spilled.map(({ task }) => task)),
      textArray(spilled.map(({ queue }) => queue)),
      plainArray(spilled.map(({ priority }) => priority)),
      plainArray(spilled.map(({ attempt }) => attempt)),
      plainArray(spilled.map(({ retriesLeft }) => retriesLeft)),
      plainArray(spilled.map(({ lost }) => lost)),
      plainArray(spilled.map(({ sessionId }) => sessionId)),
      plainArray(spilled.map(({ token }) => token)),
      plainArray(spilled.map(({ readyAt }) => readyAt)),
      plainArray(spilled.map(({ at }) => at)),
    ]),
    tx.execute(LET_GO, [plainArray(runs.map(([runId]) => runId))]),
  ]);
}
