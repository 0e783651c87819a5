/** Observations of data that is made elsewhere, and facts over time. */
import { jsonText } from './columns.ts';
import type { Tx } from './connection.ts';

export interface ObservationRow {
  readonly id: string;
  readonly asset_key: string;
  readonly at: Date | null;
  readonly recorded_at: Date;
  readonly run_id: string | null;
  readonly data_version: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface NewObservation {
  readonly id: string;
  readonly asset_key: string;
  readonly at: string | null;
  readonly recorded_at: string;
  readonly run_id: string | null;
  readonly data_version: string | null;
  /** When the data became what was seen; null where that is not known. */
  readonly changed_at: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly idempotency_key: string | null;
}

const COLUMNS = 'o.id, o.asset_key, o.at, o.recorded_at, o.run_id, o.data_version, o.metadata';

/**
 * Records observations; the asset's rows must be locked. The newest event time that was seen is the asset's.
 * @returns ids of those that were not there under their key yet
 */
export async function insertObservations(
  tx: Tx,
  observations: readonly NewObservation[],
): Promise<ReadonlySet<string>> {
  const rows = await tx.query<{ id: string }>(
    `WITH added AS (
       INSERT INTO signalbox.asset_observation (
         id, asset_key, at, recorded_at, run_id, data_version, changed_at, metadata, idempotency_key)
       SELECT id, asset_key, at, recorded_at, run_id, data_version, changed_at, metadata, idempotency_key
       FROM jsonb_to_recordset($1::jsonb) AS o (
         id uuid, asset_key text, at timestamptz, recorded_at timestamptz, run_id uuid,
         data_version text, changed_at timestamptz, metadata jsonb, idempotency_key text)
       ON CONFLICT (asset_key, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
       RETURNING id, asset_key, at, recorded_at
     ), last AS (
       SELECT DISTINCT ON (asset_key) asset_key, id,
              max(least(at, recorded_at)) OVER (PARTITION BY asset_key) AS at, recorded_at
       FROM added ORDER BY asset_key, id DESC
     ), told AS (
       UPDATE signalbox.asset a SET
         observation_id = last.id, observed_at = greatest(a.observed_at, last.at),
         updated_at = last.recorded_at
       FROM last WHERE a.key = last.asset_key
     )
     SELECT id FROM added`,
    [jsonText(observations)],
  );
  return new Set(rows.map(({ id }) => id));
}

export interface LastSeen {
  readonly dataVersion: string | null;
  /** The newest event time that was seen. */
  readonly at: Date | null;
  /** When the data became what was seen last. */
  readonly changedAt: Date | null;
}

/** What was seen last, by asset. */
export async function readLastSeen(
  tx: Tx,
  keys: readonly string[],
): Promise<ReadonlyMap<string, LastSeen>> {
  const rows = await tx.query<LastSeen & { readonly key: string }>(
    `SELECT a.key, o.data_version AS "dataVersion", a.observed_at AS at,
            coalesce(o.changed_at, o.recorded_at) AS "changedAt"
     FROM signalbox.asset a LEFT JOIN signalbox.asset_observation o ON o.id = a.observation_id
     WHERE a.key = ANY($1)`,
    [keys],
  );
  return new Map(rows.map(({ key, ...seen }) => [key, seen]));
}

export async function findObservation(
  db: Tx,
  key: string,
  idempotencyKey: string,
): Promise<ObservationRow | undefined> {
  const [row] = await db.query<ObservationRow>(
    `SELECT ${COLUMNS} FROM signalbox.asset_observation o
     WHERE o.asset_key = $1 AND o.idempotency_key = $2`,
    [key, idempotencyKey],
  );
  return row;
}

export async function readObservation(db: Tx, id: string): Promise<ObservationRow | undefined> {
  const [row] = await db.query<ObservationRow>(
    `SELECT ${COLUMNS} FROM signalbox.asset_observation o WHERE o.id = $1`,
    [id],
  );
  return row;
}

/** Observations of an asset, the last first. */
export function listObservations(
  db: Tx,
  key: string,
  query: { after: string | null; limit: number },
): Promise<ObservationRow[]> {
  return db.query<ObservationRow>(
    `SELECT ${COLUMNS} FROM signalbox.asset_observation o
     WHERE o.asset_key = $1 AND ($2::uuid IS NULL OR o.id < $2) ORDER BY o.id DESC LIMIT $3`,
    [key, query.after, query.limit],
  );
}

export interface MetadataRow {
  readonly id: string;
  readonly at: Date | null;
  readonly recorded_at: Date;
  readonly run_id: string | null;
  readonly partition: string | null;
  readonly source: 'materialization' | 'observation';
  readonly value: unknown;
}

/** One fact of versions and observations over time, the newest first. */
export function readMetadataHistory(
  db: Tx,
  key: string,
  name: string,
  limit: number,
): Promise<MetadataRow[]> {
  return db.query<MetadataRow>(
    `SELECT * FROM (
       (SELECT m.id, m.at, m.recorded_at, m.run_id, m.partition, 'materialization' AS source,
               m.metadata -> $2 AS value
        FROM signalbox.materialization m
        WHERE m.asset_key = $1 AND m.provenance <> 'fallback' AND m.metadata ? $2
        ORDER BY m.id DESC LIMIT $3)
       UNION ALL
       (SELECT o.id, o.at, o.recorded_at, o.run_id, NULL, 'observation', o.metadata -> $2
        FROM signalbox.asset_observation o WHERE o.asset_key = $1 AND o.metadata ? $2
        ORDER BY o.id DESC LIMIT $3)
     ) AS facts ORDER BY id DESC LIMIT $3`,
    [key, name, limit],
  );
}

/** What the last versions of an asset recorded, without those that only serve as a fallback. */
export async function readRecordedVersions(
  db: Tx,
  key: string,
  limit: number,
): Promise<
  readonly { id: string; at: Date; partition: string | null; metadata: Record<string, unknown> }[]
> {
  return db.query(
    `SELECT m.id, m.at, m.partition, m.metadata FROM signalbox.materialization m
     WHERE m.asset_key = $1 AND m.provenance <> 'fallback' ORDER BY m.id DESC LIMIT $2`,
    [key, limit],
  );
}
