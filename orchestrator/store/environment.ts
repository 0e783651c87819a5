/** Tables `environment`, `environment_definition` and `environment_read`. */
import type { WorkflowDefinition } from '../../domain/agent-protocol.ts';
import {
  DEFAULT_SETTINGS,
  type EnvironmentSettings,
  type ProductionRead,
} from '../../domain/environment.ts';
import { jsonText, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

export interface EnvironmentRow {
  readonly name: string;
  readonly state: 'active' | 'deleting';
  readonly created_by: string;
  readonly created_at: Date;
  readonly last_seen_at: Date;
  /** bigint comes as text; null for never. */
  readonly ttl_ms: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly settings: Partial<EnvironmentSettings>;
}

export interface CountedEnvironmentRow extends EnvironmentRow {
  readonly workflows: number;
  readonly assets: number;
  readonly agents: number;
  readonly active_runs: number;
}

const COLUMNS =
  'e.name, e.state, e.created_by, e.created_at, e.last_seen_at, e.ttl_ms, e.labels, e.settings';
const ITS = (column: string) => `starts_with(${column}, '~' || e.name || '~')`;
const COUNTED = `${COLUMNS},
  (SELECT count(*)::int FROM signalbox.workflow w WHERE w.kind IN ('workflow', 'flow') AND ${ITS('w.name')}) AS workflows,
  (SELECT count(*)::int FROM signalbox.asset a WHERE ${ITS('a.key')}) AS assets,
  (SELECT count(*)::int FROM signalbox.agent_session s WHERE s.state = 'live' AND ${ITS('s.name')}) AS agents,
  (SELECT count(*)::int FROM signalbox.run_live l WHERE ${ITS('l.workflow')}) AS active_runs`;

export async function findEnvironment(db: Tx, name: string): Promise<EnvironmentRow | undefined> {
  const [row] = await db.query<EnvironmentRow>(
    `SELECT ${COLUMNS} FROM signalbox.environment e WHERE e.name = $1`,
    [name],
  );
  return row;
}

/** Those of the environments that read from production what they did not make. */
export async function readFallingBack(
  tx: Tx,
  names: readonly string[],
): Promise<readonly string[]> {
  const rows = await tx.rows<readonly [string]>(
    `SELECT name FROM signalbox.environment
     WHERE name = ANY($1::text[]) AND coalesce((settings ->> 'fallback')::boolean, $2)`,
    [textArray(names), DEFAULT_SETTINGS.fallback],
  );
  return rows.map(([name]) => name);
}

export async function isAnyEnvironment(db: Tx): Promise<boolean> {
  const [row] = await db.query<{ any: boolean }>(
    'SELECT EXISTS (SELECT FROM signalbox.environment) AS any',
  );
  return row?.any ?? false;
}

/** Workflows of runs, as they are stored. */
export function readRunWorkflows(
  db: Tx,
  runIds: readonly string[],
): Promise<(readonly [id: string, workflow: string])[]> {
  return db.rows<readonly [string, string]>(
    'SELECT id, workflow FROM signalbox.run WHERE id = ANY($1::uuid[])',
    [runIds],
  );
}

/** In the order of their names, from behind `after`; only the named one where a name is given. */
export function readEnvironments(
  db: Tx,
  of: { readonly name: string | null; readonly after: string | null; readonly limit: number },
): Promise<CountedEnvironmentRow[]> {
  return db.query<CountedEnvironmentRow>(
    `SELECT ${COUNTED} FROM signalbox.environment e
     WHERE ($1::text IS NULL OR e.name = $1) AND ($2::text IS NULL OR e.name > $2) ORDER BY e.name LIMIT $3`,
    [of.name, of.after, of.limit],
  );
}

/** Makes one, or changes what is given of one that is there and not being deleted. */
export async function saveEnvironment(
  tx: Tx,
  environment: {
    readonly name: string;
    readonly by: string;
    /** Undefined where it stays. */
    readonly ttlMs: number | null | undefined;
    readonly defaultTtlMs: number;
    readonly labels: Readonly<Record<string, string>>;
    readonly settings: Partial<EnvironmentSettings>;
  },
  now: Date,
): Promise<'created' | 'changed' | 'deleting'> {
  const { name, by, ttlMs, defaultTtlMs, labels, settings } = environment;
  const [row] = await tx.query<{ created: boolean }>(
    `INSERT INTO signalbox.environment AS e (name, created_by, created_at, last_seen_at, ttl_ms, labels, settings)
     VALUES ($1, $2, $3, $3, CASE WHEN $4 THEN $5::bigint ELSE $6::bigint END, $7, $8)
     ON CONFLICT (name) DO UPDATE SET
       last_seen_at = excluded.last_seen_at, labels = e.labels || excluded.labels,
       settings = e.settings || excluded.settings, ttl_ms = CASE WHEN $4 THEN excluded.ttl_ms ELSE e.ttl_ms END
     WHERE e.state = 'active'
     RETURNING xmax = 0 AS created`,
    [
      ...[name, by, now, ttlMs !== undefined, ttlMs ?? null, defaultTtlMs],
      ...[jsonText(labels), jsonText(settings)],
    ],
  );
  return row === undefined ? 'deleting' : row.created ? 'created' : 'changed';
}

export async function touchEnvironment(tx: Tx, name: string, now: Date): Promise<void> {
  await tx.execute(
    'UPDATE signalbox.environment SET last_seen_at = greatest(last_seen_at, $2) WHERE name = $1',
    [name, now],
  );
}

/** Environments with a live agent count as seen. */
export async function touchLiveEnvironments(db: Tx, now: Date): Promise<void> {
  await db.execute(
    `UPDATE signalbox.environment e SET last_seen_at = $1
     WHERE e.last_seen_at < $1::timestamptz - interval '1 minute' AND EXISTS (
       SELECT FROM signalbox.agent_session s WHERE s.state = 'live' AND ${ITS('s.name')})`,
    [now],
  );
}

/** @returns false where it is not there, or being deleted already */
export async function markDeleting(tx: Tx, name: string, by: string, now: Date): Promise<boolean> {
  const changed = await tx.execute(
    `UPDATE signalbox.environment SET state = 'deleting', deleting_at = $3, deleted_by = $2
     WHERE name = $1 AND state = 'active'`,
    [name, by, now],
  );
  return changed > 0;
}

/** Names of those whose time is over. */
export async function findExpired(db: Tx, now: Date): Promise<readonly string[]> {
  const rows = await db.rows<readonly [string]>(
    `SELECT name FROM signalbox.environment
     WHERE state = 'active' AND last_seen_at + ttl_ms * interval '1 millisecond' < $1`,
    [now],
  );
  return rows.map(([name]) => name);
}

/** Those that are being deleted, with how long that has been going on. */
export function findDeleting(
  db: Tx,
  now: Date,
): Promise<{ readonly name: string; readonly by: string; readonly forMs: number }[]> {
  return db.query(
    `SELECT name, deleted_by AS by, (extract(epoch FROM $1::timestamptz - deleting_at) * 1000)::float8 AS "forMs"
     FROM signalbox.environment WHERE state = 'deleting' ORDER BY name`,
    [now],
  );
}

export interface RegisteredDefinition {
  readonly name: string;
  readonly version: string;
  readonly definition: WorkflowDefinition;
}

/** What an agent defines now takes the place of what agents of its name defined before. */
export async function replaceDefinitions(
  tx: Tx,
  environment: string,
  agent: string,
  definitions: readonly RegisteredDefinition[],
  now: Date,
): Promise<void> {
  await tx.execute(
    `DELETE FROM signalbox.environment_definition
     WHERE environment = $1 AND agent = $2 AND name <> ALL($3::text[])`,
    [environment, agent, textArray(definitions.map(({ name }) => name))],
  );
  await tx.execute(
    `INSERT INTO signalbox.environment_definition AS d (environment, agent, name, version, definition, registered_at)
     SELECT $1, $2, name, version, definition, $4
     FROM jsonb_to_recordset($3::jsonb) AS g (name text, version text, definition jsonb)
     ORDER BY name
     ON CONFLICT (environment, agent, name) DO UPDATE SET
       version = excluded.version, definition = excluded.definition, registered_at = excluded.registered_at
     WHERE d.version <> excluded.version`,
    [environment, agent, jsonText(definitions), now],
  );
}

/** What an environment defines; of one name that several agents define, the newest. */
export function readEnvironmentDefinitions(
  db: Tx,
  environment: string,
): Promise<RegisteredDefinition[]> {
  return db.query<RegisteredDefinition>(
    `SELECT DISTINCT ON (name) name, version, definition FROM signalbox.environment_definition
     WHERE environment = $1 ORDER BY name, registered_at DESC`,
    [environment],
  );
}

/** Pools of an environment begin with the size of production's of the same name. */
export async function copyPools(tx: Tx, prefix: string, names: readonly string[]): Promise<void> {
  await tx.execute(
    `INSERT INTO signalbox.pool (name, kind, max)
     SELECT $1 || name, kind, max FROM signalbox.pool WHERE name = ANY($2::text[]) ORDER BY name
     ON CONFLICT (name) DO NOTHING`,
    [prefix, textArray(names)],
  );
}

/** Lists of partitions that an environment does not have yet begin with production's keys. */
export async function copyPartitionLists(
  tx: Tx,
  prefix: string,
  names: readonly string[],
  now: Date,
): Promise<void> {
  await tx.execute(
    `INSERT INTO signalbox.dynamic_partition (name, key, added_at, added_by)
     SELECT $1 || p.name, p.key, $3, 'signalbox' FROM signalbox.dynamic_partition p
     WHERE p.name = ANY($2::text[])
       AND NOT EXISTS (SELECT FROM signalbox.dynamic_partition o WHERE o.name = $1 || p.name)
     ORDER BY p.place
     ON CONFLICT DO NOTHING`,
    [prefix, textArray(names), now],
  );
}

export async function recordReads(
  tx: Tx,
  environment: string,
  runId: string,
  reads: readonly Omit<ProductionRead, 'at'>[],
  now: Date,
): Promise<void> {
  await tx.execute(
    `INSERT INTO signalbox.environment_read (run_id, asset_key, partition, version_id, environment, at)
     SELECT $1, asset, coalesce(partition, ''), "versionId", $2, $4
     FROM jsonb_to_recordset($3::jsonb) AS r (asset text, partition text, "versionId" uuid)
     ORDER BY asset, partition
     ON CONFLICT (run_id, asset_key, partition) DO UPDATE SET version_id = excluded.version_id, at = excluded.at`,
    [runId, environment, jsonText(reads), now],
  );
}

export async function readReads(db: Tx, runId: string): Promise<readonly ProductionRead[]> {
  const rows = await db.query<ProductionRead & { readonly at: Date | string }>(
    `SELECT asset_key AS asset, nullif(partition, '') AS partition, version_id AS "versionId", at
     FROM signalbox.environment_read WHERE run_id = $1 ORDER BY asset_key, partition LIMIT 1000`,
    [runId],
  );
  return rows.map((row) => ({ ...row, at: new Date(row.at).toISOString() }));
}

/** Assets that runs of the environment read from production. */
export async function readAssetsFromProduction(
  db: Tx,
  environment: string,
  assets: readonly string[],
): Promise<ReadonlySet<string>> {
  const rows = await db.rows<readonly [string]>(
    `SELECT DISTINCT asset_key FROM signalbox.environment_read
     WHERE environment = $1 AND asset_key = ANY($2::text[])`,
    [environment, textArray(assets)],
  );
  return new Set(rows.map(([key]) => key));
}

export interface ProductionDefinition {
  readonly name: string;
  readonly kind: 'workflow' | 'flow' | 'asset' | 'sensor';
  readonly file: string;
  readonly version: string;
  readonly schedule: unknown;
  readonly parameters: unknown;
  readonly queue: string;
  readonly owners: readonly string[];
  readonly graph: { readonly tasks: readonly { readonly key: string }[] } | null;
}

/** All that production defines, of people's own. */
export function readProductionDefinitions(db: Tx): Promise<ProductionDefinition[]> {
  return db.query<ProductionDefinition>(
    `SELECT w.name, w.kind, w.file, v.version, w.schedule, w.parameters, w.queue, w.owners, v.graph
     FROM signalbox.workflow w JOIN signalbox.workflow_version v ON v.id = w.version_id
     WHERE w.kind <> 'system' AND NOT starts_with(w.name, '~')
     UNION ALL
     SELECT s.name, 'sensor', s.file, s.version, NULL, NULL, s.queue, '[]', NULL
     FROM signalbox.sensor s WHERE NOT starts_with(s.name, '~')
     ORDER BY 1`,
  );
}
