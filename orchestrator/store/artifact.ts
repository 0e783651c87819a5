/** Rows of `artifact`: what tasks show people. One row for each key of a task of a run, made anew in place. */
import type { ArtifactKind, ArtifactRequest } from '../../domain/artifact.ts';
import type { ResultReference } from '../../domain/result.ts';
import { jsonText } from './columns.ts';
import type { Tx } from './connection.ts';

export interface ArtifactRow {
  readonly id: string;
  readonly key: string;
  readonly version: number;
  readonly kind: ArtifactKind;
  readonly title: string | null;
  readonly runId: string;
  readonly workflow: string | null;
  readonly taskKey: string;
  readonly mime: string;
  readonly bytes: string;
  readonly value: unknown;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

const SHOWN = `
  SELECT a.id, a.key, a.version, a.kind, a.title, a.run_id AS "runId", r.workflow, a.task_key AS "taskKey",
         a.mime, a.bytes, a.value, a.created_at AS "createdAt", a.updated_at AS "updatedAt"
  FROM signalbox.artifact a LEFT JOIN signalbox.run r ON r.id = a.run_id`;

/** Writes it anew in place. @returns false where there is none yet */
export async function updateArtifact(tx: Tx, artifact: ArtifactRequest): Promise<boolean> {
  const count = await tx.execute(
    `UPDATE signalbox.artifact
     SET kind = $4, title = $5, mime = $6, bytes = $7, value = $8::jsonb, binary_content = decode($9, 'base64'),
         content = $10::jsonb, updated_at = clock_timestamp()
     WHERE run_id = $1 AND task_key = $2 AND key = $3`,
    valuesOf(artifact),
  );
  return count > 0;
}

/** Adds the next version under the key. Who adds one waits for others that do. */
export async function insertArtifact(tx: Tx, artifact: ArtifactRequest): Promise<void> {
  await tx.execute(`SELECT pg_advisory_xact_lock(hashtextextended($1, 4093))`, [artifact.key]);
  await tx.execute(
    `INSERT INTO signalbox.artifact
       (run_id, task_key, key, kind, title, mime, bytes, value, binary_content, content, version, created_at, updated_at)
     SELECT $1, $2, $3, $4, $5, $6, $7, $8::jsonb, decode($9, 'base64'), $10::jsonb,
            coalesce((SELECT max(version) FROM signalbox.artifact WHERE key = $3), 0) + 1,
            clock_timestamp(), clock_timestamp()
     ON CONFLICT (run_id, key, task_key) DO UPDATE
     SET kind = excluded.kind, title = excluded.title, mime = excluded.mime, bytes = excluded.bytes,
         value = excluded.value, binary_content = excluded.binary_content, content = excluded.content,
         updated_at = excluded.updated_at`,
    valuesOf(artifact),
  );
}

function valuesOf(artifact: ArtifactRequest): readonly unknown[] {
  const { runId, taskKey, key, kind, title, mime, bytes, value, base64, content } = artifact;
  return [
    ...[runId, taskKey, key, kind, title ?? null, mime, bytes],
    ...[jsonText(value), base64 ?? null, jsonText(content)],
  ];
}

export async function countArtifacts(tx: Tx, runId: string): Promise<number> {
  const [row] = await tx.query<{ count: number }>(
    'SELECT count(*)::int AS count FROM signalbox.artifact WHERE run_id = $1',
    [runId],
  );
  return row?.count ?? 0;
}

/** Of a run, in the order in which they were made first. */
export function readArtifactsOfRun(db: Tx, runId: string): Promise<ArtifactRow[]> {
  return db.query<ArtifactRow>(`${SHOWN} WHERE a.run_id = $1 ORDER BY a.id`, [runId]);
}

/** Newest first. @param before only those with a smaller id */
export function readArtifacts(
  db: Tx,
  filter: {
    readonly key: string | null;
    readonly kind: string | null;
    readonly before: string | null;
    readonly prefix: string;
  },
  limit: number,
): Promise<ArtifactRow[]> {
  return db.query<ArtifactRow>(
    `${SHOWN}
     WHERE ($1::text IS NULL OR a.key = $1) AND ($2::text IS NULL OR a.kind = $2)
       AND ($3::bigint IS NULL OR a.id < $3) AND signalbox.in_environment(a.key, $5)
     ORDER BY a.id DESC LIMIT $4`,
    [filter.key, filter.kind, filter.before, limit, filter.prefix],
  );
}

export async function readArtifact(db: Tx, id: string): Promise<ArtifactRow | undefined> {
  const [row] = await db.query<ArtifactRow>(`${SHOWN} WHERE a.id = $1`, [id]);
  return row;
}

export interface ArtifactContent {
  readonly value: unknown;
  readonly binary: Buffer | null;
  readonly content: ResultReference | null;
}

export async function readArtifactContent(
  db: Tx,
  id: string,
): Promise<ArtifactContent | undefined> {
  const [row] = await db.query<ArtifactContent>(
    'SELECT value, binary_content AS binary, content FROM signalbox.artifact WHERE id = $1',
    [id],
  );
  return row;
}

/** Deletes so many of runs that are no more. */
export function sweepArtifacts(db: Tx, limit: number): Promise<number> {
  return db.execute(
    `DELETE FROM signalbox.artifact WHERE id IN (
       SELECT a.id FROM signalbox.artifact a
       WHERE NOT EXISTS (SELECT FROM signalbox.run r WHERE r.id = a.run_id) LIMIT $1)`,
    [limit],
  );
}
