/** Runs of other engines in `run`, found by engine and the id that they have there. */
import type { RunState } from '../../domain/run.ts';
import { jsonText } from './columns.ts';
import type { Tx } from './connection.ts';

export interface ExternalRunRow {
  readonly id: string;
  readonly engine: string;
  readonly external_id: string;
  readonly workflow: string;
  readonly state: RunState;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly logical_date: Date | null;
  readonly business_key: string;
  readonly parent_run_id: string | null;
  readonly inputs: readonly string[] | null;
  readonly outputs: readonly string[] | null;
  readonly created_at: Date;
  readonly started_at: Date | null;
  readonly finished_at: Date | null;
  readonly error: { name: string; message: string } | null;
}

/** A run that is named, maybe only as the parent of another. */
export interface NamedRun {
  readonly id: string;
  readonly engine: string;
  readonly external_id: string;
  readonly workflow: string;
  readonly business_key: string;
  readonly created_at: string;
}

/** Makes those known that are not, as running; then locks all of them, in the order of their ids. */
export async function lockExternalRuns(
  tx: Tx,
  named: readonly NamedRun[],
): Promise<readonly ExternalRunRow[]> {
  const json = jsonText(named);
  await tx.execute(
    `INSERT INTO signalbox.run (id, engine, external_id, workflow, state, business_key, trigger, created_at)
     SELECT id, engine, external_id, workflow, 'running', business_key, 'external', created_at
     FROM jsonb_to_recordset($1::jsonb) AS n (
       id uuid, engine text, external_id text, workflow text, business_key text, created_at timestamptz)
     ORDER BY engine, external_id
     ON CONFLICT (engine, external_id) WHERE external_id IS NOT NULL DO NOTHING`,
    [json],
  );
  return tx.query<ExternalRunRow>(
    `SELECT r.id, r.engine, r.external_id, r.workflow, r.state, r.parameters, r.logical_date,
            r.business_key, r.parent_run_id, r.inputs, r.outputs, r.created_at, r.started_at,
            r.finished_at, r.error
     FROM jsonb_to_recordset($1::jsonb) AS n (engine text, external_id text)
     JOIN signalbox.run r ON r.engine = n.engine AND r.external_id = n.external_id
     ORDER BY r.id FOR UPDATE OF r`,
    [json],
  );
}

/** Those of the ids that are runs of this orchestrator: work that a task of ours started and that tells of itself. */
export async function findOwnRuns(tx: Tx, ids: readonly string[]): Promise<ReadonlySet<string>> {
  if (ids.length === 0) return new Set();
  const rows = await tx.query<{ id: string }>(
    `SELECT id FROM signalbox.run WHERE id = ANY($1::uuid[]) AND engine = 'signalbox'`,
    [ids],
  );
  return new Set(rows.map((row) => row.id));
}

/** What the run has become. */
export interface ExternalRunRecord {
  readonly id: string;
  readonly workflow: string;
  readonly state: RunState;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly logical_date: string | null;
  readonly business_key: string;
  readonly parent_run_id: string | null;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly created_at: string;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly error: { name: string; message: string } | null;
}

export async function updateExternalRuns(
  tx: Tx,
  records: readonly ExternalRunRecord[],
): Promise<void> {
  await tx.execute(
    `UPDATE signalbox.run r SET
       workflow = n.workflow, state = n.state, parameters = n.parameters, logical_date = n.logical_date,
       business_key = n.business_key, parent_run_id = n.parent_run_id,
       inputs = ARRAY(SELECT jsonb_array_elements_text(n.inputs)),
       outputs = ARRAY(SELECT jsonb_array_elements_text(n.outputs)),
       created_at = n.created_at, started_at = n.started_at, finished_at = n.finished_at, error = n.error
     FROM jsonb_to_recordset($1::jsonb) AS n (
       id uuid, workflow text, state text, parameters jsonb, logical_date timestamptz, business_key text,
       parent_run_id uuid, inputs jsonb, outputs jsonb, created_at timestamptz, started_at timestamptz,
       finished_at timestamptz, error jsonb)
     WHERE r.id = n.id`,
    [jsonText(records)],
  );
}

/**
 * Makes datasets known as assets, with the edges between them. Edges that code declares stay code's.
 * @returns whether an edge is new
 */
export async function insertLineage(
  tx: Tx,
  seen: {
    keys: readonly string[];
    edges: readonly { upstream: string; downstream: string }[];
  },
  now: Date,
): Promise<boolean> {
  await tx.execute(
    `INSERT INTO signalbox.asset (key, updated_at)
     SELECT key, $2 FROM unnest($1::text[]) AS given (key) ORDER BY key ON CONFLICT DO NOTHING`,
    [seen.keys, now],
  );
  if (seen.edges.length === 0) return false;
  const added = await tx.execute(
    `INSERT INTO signalbox.asset_edge (upstream, downstream, origin)
     SELECT upstream, downstream, 'openlineage'
     FROM jsonb_to_recordset($1::jsonb) AS e (upstream text, downstream text)
     ORDER BY downstream, upstream
     ON CONFLICT DO NOTHING`,
    [jsonText(seen.edges)],
  );
  return added > 0;
}

/** Who owns what is made elsewhere; code knows better where it makes the asset. */
export async function setOwners(
  tx: Tx,
  owners: readonly { key: string; owners: readonly string[] }[],
): Promise<void> {
  await tx.execute(
    `UPDATE signalbox.asset a SET owners = o.owners
     FROM jsonb_to_recordset($1::jsonb) AS o (key text, owners jsonb)
     WHERE a.key = o.key AND a.workflow IS NULL AND a.owners <> o.owners`,
    [jsonText(owners)],
  );
}

/** Makes datasets known; a schema replaces the one before, none leaves it. */
export async function upsertDatasets(
  tx: Tx,
  datasets: readonly { key: string; schema: unknown }[],
  now: Date,
): Promise<void> {
  await tx.execute(
    `INSERT INTO signalbox.asset AS a (key, schema, updated_at)
     SELECT key, schema, $2 FROM jsonb_to_recordset($1::jsonb) AS d (key text, schema jsonb) ORDER BY key
     ON CONFLICT (key) DO UPDATE SET schema = excluded.schema, updated_at = excluded.updated_at
     WHERE excluded.schema IS NOT NULL AND a.schema IS DISTINCT FROM excluded.schema`,
    [jsonText(datasets), now],
  );
}
