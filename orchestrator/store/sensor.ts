/** Tables `sensor` and `sensor_event`. A look is held by its token; what it gives is stored under the row's lock. */
import type { RunError } from '../../domain/run.ts';
import type { Sensor } from '../../domain/sensor.ts';
import { jsonText, plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

export interface SensorRow {
  readonly name: string;
  readonly file: string;
  readonly description: string | null;
  readonly queue: string;
  readonly triggers: string | null;
  readonly every_ms: number;
  readonly timeout_ms: number;
  readonly has_code: boolean;
  readonly paused: boolean;
  readonly cursor: string | null;
  readonly state: unknown;
  readonly next_look_at: Date;
  readonly held_until: Date | null;
  readonly last_look_at: Date | null;
  readonly last_error: RunError | null;
  readonly failures: number;
  readonly skip_reason: string | null;
  readonly last_runs: Sensor['lastRuns'];
}

const COLUMNS = `
  name, file, description, queue, triggers, every_ms, timeout_ms, has_code, paused, cursor, state, next_look_at,
  held_until, last_look_at, last_error, failures, skip_reason, last_runs`;

/** A sensor as it is registered. */
export interface SensorRecord {
  readonly name: string;
  readonly file: string;
  readonly description: string | null;
  readonly queue: string;
  readonly version: string;
  readonly triggers: string | null;
  readonly every_ms: number;
  readonly timeout_ms: number;
  readonly has_code: boolean;
  /** Whether it is paused when it is new. */
  readonly starts_paused: boolean;
}

/** Versions of the registered sensors of these names. */
export async function readSensorVersions(
  db: Tx,
  names: readonly string[],
): Promise<ReadonlyMap<string, { version: string; file: string }>> {
  const rows = await db.query<{ name: string; version: string; file: string }>(
    'SELECT name, version, file FROM signalbox.sensor WHERE name = ANY($1)',
    [names],
  );
  return new Map(rows.map((row) => [row.name, row]));
}

/** Stores definitions; cursors, states and pauses stay. */
export async function upsertSensors(
  tx: Tx,
  records: readonly SensorRecord[],
  now: Date,
): Promise<void> {
  await tx.execute(
    `INSERT INTO signalbox.sensor AS s (
       name, file, description, queue, version, triggers, every_ms, timeout_ms, has_code, paused, next_look_at,
       registered_at, updated_at)
     SELECT name, file, description, queue, version, triggers, every_ms, timeout_ms, has_code,
            coalesce(starts_paused, false), clock_timestamp(), $2, $2
     FROM jsonb_to_recordset($1::jsonb) AS d (
       name text, file text, description text, queue text, version text, triggers text, every_ms int,
       timeout_ms int, has_code boolean, starts_paused boolean)
     ORDER BY name
     ON CONFLICT (name) DO UPDATE SET
       file = excluded.file, description = excluded.description, queue = excluded.queue,
       version = excluded.version, triggers = excluded.triggers, every_ms = excluded.every_ms,
       timeout_ms = excluded.timeout_ms, has_code = excluded.has_code, updated_at = excluded.updated_at,
       next_look_at = least(s.next_look_at,
         clock_timestamp() + make_interval(secs => excluded.every_ms::float8 / 1000))`,
    [jsonText(records), now],
  );
}

export async function findSensor(db: Tx, name: string): Promise<SensorRow | undefined> {
  const [row] = await db.query<SensorRow>(
    `SELECT ${COLUMNS} FROM signalbox.sensor WHERE name = $1`,
    [name],
  );
  return row;
}

export function listSensors(
  db: Tx,
  after: string | null,
  limit: number,
  prefix: string,
): Promise<SensorRow[]> {
  return db.query<SensorRow>(
    `SELECT ${COLUMNS} FROM signalbox.sensor
     WHERE ($1::text IS NULL OR name > $1) AND signalbox.in_environment(name, $3) ORDER BY name LIMIT $2`,
    [after, limit, prefix],
  );
}

export async function countEvents(
  db: Tx,
  names: readonly string[],
): Promise<{ sensor: string; state: string; count: number }[]> {
  return db.query(
    `SELECT sensor, state, count(*)::int AS count FROM signalbox.sensor_event
     WHERE sensor = ANY($1) AND state <> 'done' GROUP BY sensor, state`,
    [names],
  );
}

/** @returns false where there is no such sensor */
export async function setSensorPaused(tx: Tx, name: string, paused: boolean): Promise<boolean> {
  const changed = await tx.execute(
    `UPDATE signalbox.sensor SET paused = $2, next_look_at = least(next_look_at, clock_timestamp()),
            updated_at = clock_timestamp()
     WHERE name = $1`,
    [name, paused],
  );
  return changed > 0;
}

/** Makes the next look due now. */
export async function makeDue(tx: Tx, name: string): Promise<void> {
  await tx.execute('UPDATE signalbox.sensor SET next_look_at = clock_timestamp() WHERE name = $1', [
    name,
  ]);
}

/** Sets the cursor by hand; a look under way is no longer counted. @returns false where there is no such sensor */
export async function setCursor(tx: Tx, name: string, cursor: string | null): Promise<boolean> {
  const changed = await tx.execute(
    `UPDATE signalbox.sensor
     SET cursor = $2, state = NULL, token = NULL, session_id = NULL, held_until = NULL, failures = 0,
         last_error = NULL, next_look_at = clock_timestamp()
     WHERE name = $1`,
    [name, cursor],
  );
  return changed > 0;
}

export interface ClaimedLook {
  readonly name: string;
  readonly token: string;
  readonly cursor: string | null;
  readonly state: unknown;
  readonly timeout_ms: number;
  readonly failures: number;
}

/** What a look may go on beyond its timeout: its agent ends it, and the answer has to arrive. */
const GRACE_MS = 15_000;

const CLAIM = `
  WITH due AS MATERIALIZED (
    SELECT s.name FROM signalbox.sensor s
    WHERE s.has_code AND NOT s.paused AND s.queue = ANY($1)
      AND ($5::bigint IS NULL OR s.name IN (
        SELECT unnest(d.names) FROM signalbox.definition_set d WHERE d.id = $5::bigint))
      AND s.next_look_at <= clock_timestamp()
      AND (s.held_until IS NULL OR s.held_until <= clock_timestamp() OR NOT EXISTS (
        SELECT FROM signalbox.agent_session a
        WHERE a.id = s.session_id AND a.state = 'live' AND a.lease_expires_at > clock_timestamp()))
    ORDER BY s.next_look_at LIMIT $2 FOR UPDATE SKIP LOCKED)
  UPDATE signalbox.sensor s
  SET session_id = $3, token = floor(random() * 900000000000000000)::bigint,
      held_until = clock_timestamp() + make_interval(secs => (s.timeout_ms + $4)::float8 / 1000)
  FROM due WHERE s.name = due.name
  RETURNING s.name, s.token, s.cursor, s.state, s.timeout_ms, s.failures`;

/** Takes looks that are due, for a session. @param definitions row of `definition_set`; null for all */
export function claimLooks(
  db: Tx,
  queues: readonly string[],
  limit: number,
  sessionId: string,
  definitions: string | null,
): Promise<ClaimedLook[]> {
  return db.query<ClaimedLook>(CLAIM, [queues, limit, sessionId, GRACE_MS, definitions]);
}

/** Lets others take looks that nobody waits for any more. */
export async function releaseLooks(db: Tx, looks: readonly ClaimedLook[]): Promise<void> {
  await db.execute(
    `UPDATE signalbox.sensor s SET token = NULL, session_id = NULL, held_until = NULL
     FROM unnest($1::text[], $2::bigint[]) AS l (name, token)
     WHERE s.name = l.name AND s.token = l.token`,
    [textArray(looks.map(({ name }) => name)), plainArray(looks.map(({ token }) => token))],
  );
}

export interface WaitingEvent {
  readonly id: string;
  readonly key: string;
  readonly body: unknown;
  readonly at: Date;
}

export function findWaitingEvents(tx: Tx, name: string, limit: number): Promise<WaitingEvent[]> {
  return tx.query<WaitingEvent>(
    `SELECT id, key, body, at FROM signalbox.sensor_event
     WHERE sensor = $1 AND state = 'waiting' ORDER BY id LIMIT $2`,
    [name, limit],
  );
}

/** Locks the sensor that this look holds; undefined where it holds none. */
export async function lockHeld(
  tx: Tx,
  name: string,
  token: string,
): Promise<SensorRow | undefined> {
  const [row] = await tx.query<SensorRow>(
    `SELECT ${COLUMNS} FROM signalbox.sensor WHERE name = $1 AND token = $2 FOR UPDATE`,
    [name, token],
  );
  return row;
}

/** What a look leaves. */
export interface LookRecord {
  readonly cursor: string | null;
  readonly state: unknown;
  readonly error: RunError | null;
  readonly failures: number;
  readonly skipReason: string | null;
  readonly lastRuns: Sensor['lastRuns'];
  readonly nextInMs: number;
}

/** Ends a look. The next one is due at once where events wait, unless this one failed. */
export async function endLook(tx: Tx, name: string, record: LookRecord): Promise<void> {
  await tx.execute(
    `UPDATE signalbox.sensor
     SET session_id = NULL, token = NULL, held_until = NULL, last_look_at = clock_timestamp(),
         cursor = $2, state = $3, last_error = $4, failures = $5, skip_reason = $6, last_runs = $7,
         next_look_at = clock_timestamp() + CASE
           WHEN $5::int = 0 AND EXISTS (SELECT FROM signalbox.sensor_event e
             WHERE e.sensor = $1 AND e.state = 'waiting') THEN interval '0'
           ELSE make_interval(secs => $8::float8 / 1000) END
     WHERE name = $1`,
    [
      ...[name, record.cursor, jsonText(record.state), jsonText(record.error), record.failures],
      ...[record.skipReason, JSON.stringify(record.lastRuns), record.nextInMs],
    ],
  );
}

export async function finishEvents(tx: Tx, name: string, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await tx.execute(
    `UPDATE signalbox.sensor_event SET state = 'done', body = NULL
     WHERE sensor = $1 AND id = ANY($2::bigint[]) AND state = 'waiting'`,
    [name, plainArray(ids)],
  );
}

/** Counts a failure of these events; one that failed too often is set aside. */
export async function failEvents(
  tx: Tx,
  name: string,
  ids: readonly string[],
  error: string,
  mostAttempts: number,
): Promise<void> {
  if (ids.length === 0) return;
  await tx.execute(
    `UPDATE signalbox.sensor_event
     SET attempts = attempts + 1, error = $3,
         state = CASE WHEN attempts + 1 >= $4 THEN 'refused' ELSE state END
     WHERE sensor = $1 AND id = ANY($2::bigint[]) AND state = 'waiting'`,
    [name, plainArray(ids), error, mostAttempts],
  );
}

/** Stores an event. @returns its run where it is known already and has one; `created` false then */
export async function insertSensorEvent(
  tx: Tx,
  event: { sensor: string; key: string; body: unknown; at: Date; runId: string | null },
): Promise<{ created: boolean; runId: string | null }> {
  const inserted = await tx.execute(
    `INSERT INTO signalbox.sensor_event (sensor, key, body, at, state, run_id)
     VALUES ($1, $2, $3, $4, CASE WHEN $5::uuid IS NULL THEN 'waiting' ELSE 'done' END, $5)
     ON CONFLICT (sensor, key) DO NOTHING`,
    [
      ...[event.sensor, event.key, event.runId === null ? jsonText(event.body) : null],
      ...[event.at, event.runId],
    ],
  );
  if (inserted > 0) return { created: true, runId: event.runId };
  const [first] = await tx.query<{ runId: string | null }>(
    'SELECT run_id AS "runId" FROM signalbox.sensor_event WHERE sensor = $1 AND key = $2',
    [event.sensor, event.key],
  );
  return { created: false, runId: first?.runId ?? null };
}

/** Whether so many events of the sensor wait. */
export async function hasWaiting(tx: Tx, name: string, count: number): Promise<boolean> {
  const rows = await tx.rows(
    `SELECT 1 FROM signalbox.sensor_event WHERE sensor = $1 AND state = 'waiting' ORDER BY id OFFSET $2 LIMIT 1`,
    [name, count - 1],
  );
  return rows.length > 0;
}

/** A look is due, as an event waits; one that failed keeps its pause. */
export async function hurryLook(tx: Tx, name: string): Promise<void> {
  await tx.execute(
    `UPDATE signalbox.sensor SET next_look_at = clock_timestamp()
     WHERE name = $1 AND failures = 0 AND next_look_at > clock_timestamp()`,
    [name],
  );
}

/** Deletes events that ended long ago; their keys are forgotten with them. @returns how many */
export function deleteOldSensorEvents(db: Tx, keep: string, limit: number): Promise<number> {
  return db.execute(
    `DELETE FROM signalbox.sensor_event WHERE id IN (
       SELECT id FROM signalbox.sensor_event
       WHERE state <> 'waiting' AND at < now() - $1::interval ORDER BY at LIMIT $2)`,
    [keep, limit],
  );
}
