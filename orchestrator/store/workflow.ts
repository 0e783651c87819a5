/** Tables `workflow`, `workflow_version`, `workflow_file_error`. Definitions come by thousands: one statement for many. */
import type { WorkflowDefinition, WorkflowFileError } from '../../domain/agent-protocol.ts';
import type { Graph } from '../catalog/graph.ts';
import { jsonText } from './columns.ts';
import type { Tx } from './connection.ts';

/** What the code defines, with the graph of its newest version. */
interface Described {
  readonly name: string;
  readonly kind: WorkflowDefinition['kind'] | 'system';
  readonly file: string;
  readonly description: string | null;
  readonly tags: readonly string[];
  readonly owners: readonly string[];
  readonly schedule: WorkflowDefinition['schedule'];
  readonly parameters: Readonly<Record<string, unknown>> | null;
  readonly version: string;
  readonly graph: Graph;
}

/** A workflow as it is stored. */
export interface WorkflowRow extends Described {
  readonly paused: boolean;
  readonly next_run_at: Date | null;
}

const WORKFLOW_COLUMNS = `w.name, w.kind, w.file, w.description, w.tags, w.owners, w.schedule, w.parameters, w.paused,
  w.next_run_at, v.version, v.graph`;
const WITH_VERSION = 'JOIN signalbox.workflow_version v ON v.id = w.version_id';
const SELECT_WORKFLOW = `SELECT ${WORKFLOW_COLUMNS} FROM signalbox.workflow w ${WITH_VERSION}`;
/** The page first, then its versions: with statistics from before thousands were registered all would be joined. */
const LIST_WORKFLOWS = `
  SELECT ${WORKFLOW_COLUMNS} FROM (
    SELECT * FROM signalbox.workflow
    WHERE kind IN ('workflow', 'flow') AND ($1::text IS NULL OR name > $1)
    ORDER BY name LIMIT $2) w ${WITH_VERSION}
  ORDER BY w.name`;

/** Workflows and flows in the order of their names; assets and what the product runs itself are not among them. */
export function listWorkflows(
  db: Tx,
  query: { after: string | null; limit: number },
): Promise<WorkflowRow[]> {
  return db.query<WorkflowRow>(LIST_WORKFLOWS, [query.after, query.limit]);
}

/** A workflow of any kind. */
export async function findWorkflow(db: Tx, name: string): Promise<WorkflowRow | undefined> {
  const [row] = await db.query<WorkflowRow>(`${SELECT_WORKFLOW} WHERE w.name = $1`, [name]);
  return row;
}

/** What is registered under these names; enough to see what has changed. */
export function readRegistered(
  db: Tx,
  names: readonly string[],
): Promise<{ name: string; kind: string; file: string; version: string }[]> {
  return db.query(
    `SELECT w.name, w.kind, w.file, v.version
     FROM signalbox.workflow w JOIN signalbox.workflow_version v ON v.id = w.version_id
     WHERE w.name = ANY($1)`,
    [names],
  );
}

/** A workflow to store; the times are Unix milliseconds. */
export interface WorkflowRecord extends Described {
  readonly queue: string;
  readonly max_active_runs: number | null;
  readonly next_run_at: string | null;
  readonly next_logical_date: string | null;
  readonly next_interval_end: string | null;
  /** The same for a schedule that is new, which may begin in the past. */
  readonly first_run_at: string | null;
  readonly first_logical_date: string | null;
  readonly first_interval_end: string | null;
}

/** Where the schedule stays as it was, its next run stays too: an edit must neither skip nor repeat one. */
const NOT_TIMES = `'{catchup,catchupAtMost,catchupWithinMs,overlap,dependsOnPast}'::text[]`;
const SAME_SCHEDULE = `
  w.next_run_at IS NOT NULL AND w.schedule - ${NOT_TIMES} = excluded.schedule - ${NOT_TIMES}`;
/** A start date that is new, or another one, is where the schedule begins. */
const NEW_START = `w.schedule ->> 'startDate' IS DISTINCT FROM excluded.schedule ->> 'startDate'`;

/** A column of the next run: as it stands, as a new schedule has it, or as one that goes on has it. */
function nextColumn(name: string): string {
  return `next_${name} = CASE WHEN ${SAME_SCHEDULE} THEN w.next_${name}
    WHEN ${NEW_START} THEN excluded.next_${name}
    ELSE (SELECT g.next_${name} FROM given g WHERE g.name = excluded.name) END`;
}

const UPSERT_WORKFLOWS = `
  WITH given AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS d (
      name text, kind text, file text, description text, tags jsonb, owners jsonb, schedule jsonb,
      parameters jsonb, queue text, max_active_runs int, version text, graph jsonb,
      next_run_at timestamptz, next_logical_date timestamptz, next_interval_end timestamptz,
      first_run_at timestamptz, first_logical_date timestamptz, first_interval_end timestamptz)
  ), made AS (
    INSERT INTO signalbox.workflow_version (workflow, version, graph, created_at)
    SELECT name, version, graph, $2 FROM given ORDER BY name
    ON CONFLICT (workflow, version) DO UPDATE SET version = excluded.version
    RETURNING id, workflow
  )
  INSERT INTO signalbox.workflow AS w (
    name, kind, file, description, tags, owners, schedule, parameters, queue, max_active_runs,
    version_id, next_run_at, next_logical_date, next_interval_end, registered_at, updated_at)
  SELECT g.name, g.kind, g.file, g.description, g.tags, g.owners, g.schedule,
         g.parameters, g.queue, g.max_active_runs, made.id,
         g.first_run_at, g.first_logical_date, g.first_interval_end, $2, $2
  FROM given g JOIN made ON made.workflow = g.name
  ORDER BY g.name
  ON CONFLICT (name) DO UPDATE SET
    kind = excluded.kind, file = excluded.file, description = excluded.description,
    tags = excluded.tags, owners = excluded.owners, schedule = excluded.schedule,
    parameters = excluded.parameters, queue = excluded.queue,
    max_active_runs = excluded.max_active_runs, version_id = excluded.version_id,
    ${nextColumn('run_at')},
    ${nextColumn('logical_date')},
    ${nextColumn('interval_end')},
    updated_at = excluded.updated_at`;

/** Stores these workflows and their versions; what is not among them stays. */
export async function upsertWorkflows(
  tx: Tx,
  records: readonly WorkflowRecord[],
  now: Date,
): Promise<void> {
  await tx.execute(UPSERT_WORKFLOWS, [jsonText(records), now]);
}

/** Id of a version, made where it is not there yet. */
export async function ensureVersion(
  tx: Tx,
  of: { workflow: string; version: string; graph: Graph },
  now: Date,
): Promise<string> {
  const [row] = await tx.query<{ id: string }>(
    `INSERT INTO signalbox.workflow_version (workflow, version, graph, created_at)
     VALUES ($1, $2, $3, $4)
     ON CONFLICT (workflow, version) DO UPDATE SET version = excluded.version
     RETURNING id`,
    [of.workflow, of.version, jsonText(of.graph), now],
  );
  if (!row) throw new Error('an upsert returned no row');
  return row.id;
}

/** Makes a workflow of the product's own known, so that its runs have one. */
export async function ensureSystemWorkflow(
  tx: Tx,
  of: { name: string; description: string; versionId: string; maxActiveRuns?: number | null },
  now: Date,
): Promise<void> {
  await tx.execute(
    `INSERT INTO signalbox.workflow (name, kind, description, version_id, max_active_runs, registered_at, updated_at)
     VALUES ($1, 'system', $2, $3, $5, $4, $4)
     ON CONFLICT (name) DO NOTHING`,
    [of.name, of.description, of.versionId, now, of.maxActiveRuns ?? null],
  );
}

/** @returns false where there is no such workflow */
export async function setWorkflowPaused(
  tx: Tx,
  name: string,
  paused: boolean,
  now: Date,
): Promise<boolean> {
  const changed = await tx.execute(
    `UPDATE signalbox.workflow SET paused = $2, updated_at = $3,
       paused_at = CASE WHEN $2 AND NOT paused THEN $3 ELSE paused_at END,
       unpaused_at = CASE WHEN paused AND NOT $2 THEN $3 ELSE unpaused_at END
     WHERE name = $1`,
    [name, paused, now],
  );
  return changed > 0;
}

/** Replaces the faults of the files that were read: `read` without a fault, `errors` with one. */
export async function replaceFileErrors(
  tx: Tx,
  read: readonly string[],
  errors: readonly WorkflowFileError[],
  now: Date,
): Promise<void> {
  await tx.execute('DELETE FROM signalbox.workflow_file_error WHERE file = ANY($1)', [read]);
  await tx.execute(
    `INSERT INTO signalbox.workflow_file_error (file, message, at)
     SELECT file, message, $2 FROM jsonb_to_recordset($1::jsonb) AS e (file text, message text)
     ORDER BY file
     ON CONFLICT (file) DO UPDATE SET message = excluded.message, at = excluded.at`,
    [jsonText(errors), now],
  );
}

export function readFileErrors(db: Tx): Promise<WorkflowFileError[]> {
  return db.query<WorkflowFileError>(
    'SELECT file, message FROM signalbox.workflow_file_error ORDER BY file LIMIT 1000',
  );
}

/** Id of a workflow's newest version. */
export async function findVersion(tx: Tx, workflow: string): Promise<string | undefined> {
  const [row] = await tx.query<{ version_id: string }>(
    'SELECT version_id FROM signalbox.workflow WHERE name = $1',
    [workflow],
  );
  return row?.version_id;
}
