/** Sets of definitions that sessions of agents have, each stored once. */
import { createHash } from 'node:crypto';
import { textArray } from './columns.ts';
import type { Db, Tx } from './connection.ts';

export interface DefinitionSetRow {
  readonly id: string;
  readonly names: readonly string[];
  readonly versions: readonly string[];
}

const ENSURE = `
  INSERT INTO signalbox.definition_set (digest, names, versions, used_at)
  VALUES ($1, $2::text[], $3::text[], clock_timestamp())
  ON CONFLICT (digest) DO UPDATE SET used_at = excluded.used_at
  RETURNING id`;

/** Id of the set, which is stored where it is not there yet. @param versions by name */
export async function ensureDefinitionSet(
  db: Tx,
  versions: ReadonlyMap<string, string>,
): Promise<string> {
  const sorted = [...versions].sort(([a], [b]) => (a < b ? -1 : 1));
  const digest = createHash('sha256').update(JSON.stringify(sorted)).digest('hex');
  const names = textArray(sorted.map(([name]) => name));
  const values = [digest, names, textArray(sorted.map(([, version]) => version))];
  const [row] = await db.query<{ id: string }>(ENSURE, values);
  if (!row) throw new Error('an upsert returned no row');
  return row.id;
}

export async function readDefinitionSet(db: Tx, id: string): Promise<DefinitionSetRow | undefined> {
  const [row] = await db.query<DefinitionSetRow>(
    'SELECT id, names, versions FROM signalbox.definition_set WHERE id = $1',
    [id],
  );
  return row;
}

/** The session defines this from now on. @returns whether the session was live */
export async function setSessionDefinitions(
  db: Tx,
  sessionId: string,
  of: { readonly definitions: string; readonly version: string },
): Promise<boolean> {
  const count = await db.execute(
    `UPDATE signalbox.agent_session SET definitions = $2, version = $3 WHERE id = $1 AND state = 'live'`,
    [sessionId, of.definitions, of.version],
  );
  return count > 0;
}

/** Keys of the tasks that a version has; undefined where there is no such version. */
export async function readTaskKeys(
  db: Tx,
  workflow: string,
  version: string,
): Promise<readonly string[] | undefined> {
  const [row] = await db.query<{ keys: string[] }>(
    `SELECT ARRAY(SELECT t ->> 'key' FROM jsonb_array_elements(v.graph -> 'tasks') AS t) AS keys
     FROM signalbox.workflow_version v WHERE v.workflow = $1 AND v.version = $2`,
    [workflow, version],
  );
  return row?.keys;
}

/** Which of the names these sets have, and in which version. */
export function findDefined(
  db: Tx,
  ids: readonly string[],
  names: readonly string[],
): Promise<{ id: string; name: string; version: string }[]> {
  return db.query(
    `SELECT d.id, n.name, n.version
     FROM signalbox.definition_set d CROSS JOIN LATERAL unnest(d.names, d.versions) AS n (name, version)
     WHERE d.id = ANY($1::bigint[]) AND n.name = ANY($2::text[])`,
    [ids, names],
  );
}

/** Deletes sets that no session has, and that no agent told for a day. */
export async function deleteUnusedSets(db: Db): Promise<void> {
  await db.execute(
    `DELETE FROM signalbox.definition_set d
     WHERE d.used_at < clock_timestamp() - interval '1 day' AND NOT EXISTS (
       SELECT FROM signalbox.agent_session s WHERE s.definitions = d.id)`,
  );
}
