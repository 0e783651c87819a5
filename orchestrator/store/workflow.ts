/** Tables `workflow`, `workflow_version`, `workflow_file_error`. Definitions come by thousands: one statement for many. */
import type { WorkflowDefinition, WorkflowFileError } from '../../domain/agent-protocol.ts';
import type { OnDefinition } from '../../domain/origin.ts';
import type { Graph } from '../catalog/graph.ts';
import { jsonText, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

/** What the code defines. */
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
}

/** A workflow as it is stored. */
export interface WorkflowRow extends Described {
  readonly paused: boolean;
  readonly next_run_at: Date | null;
  readonly task_count: number;
}

/** With the graph of its newest version, and what starts it beside its schedule. */
export interface WholeWorkflowRow extends WorkflowRow {
  readonly graph: Graph;
  readonly on: OnDefinition | null;
}

const WORKFLOW_COLUMNS = `w.name, w.kind, w.file, w.description, w.tags, w.owners, w.schedule, w.parameters, w.paused,
  w.next_run_at, v.version, coalesce(v.task_count, jsonb_array_length(v.graph -> 'tasks')) AS task_count`;
const WITH_VERSION = 'JOIN signalbox.workflow_version v ON v.id = w.version_id';
const SELECT_WORKFLOW = `
  SELECT ${WORKFLOW_COLUMNS}, v.graph, (
    SELECT jsonb_build_object('match', o.match, 'conditions', o.conditions, 'whilePaused', o.while_paused)
    FROM signalbox.workflow_on o WHERE o.workflow = w.name) AS "on"
  FROM signalbox.workflow w ${WITH_VERSION}`;
/** The page first, then its versions: with statistics from before thousands were registered all would be joined. */
const LIST_WORKFLOWS = `
  SELECT ${WORKFLOW_COLUMNS} FROM (
    SELECT * FROM signalbox.workflow
    WHERE kind IN ('workflow', 'flow') AND ($1::text IS NULL OR name > $1) AND signalbox.in_environment(name, $3)
    ORDER BY name LIMIT $2) w ${WITH_VERSION}
  ORDER BY w.name`;

/** Workflows and flows in the order of their names; assets and what the product runs itself are not among them. */
export function listWorkflows(
  db: Tx,
  query: { after: string | null; limit: number; prefix: string },
): Promise<WorkflowRow[]> {
  return db.query<WorkflowRow>(LIST_WORKFLOWS, [query.after, query.limit, query.prefix]);
}

/** A workflow of any kind. */
export async function findWorkflow(db: Tx, name: string): Promise<WholeWorkflowRow | undefined> {
  const [row] = await db.query<WholeWorkflowRow>(`${SELECT_WORKFLOW} WHERE w.name = $1`, [name]);
  return row;
}

/** What is registered under these names; enough to see what has changed. */
export function readRegistered(
  db: Tx,
  names: readonly string[],
): Promise<
  {
    name: string;
    kind: string;
    file: string;
    version: string;
    /** Who told it last. */
    agent: string | null;
    /** Whether that one is there. */
    live: boolean;
  }[]
> {
  return db.query(
    `SELECT w.name, w.kind, w.file, v.version, w.agent, EXISTS (
       SELECT FROM signalbox.agent_session s WHERE s.name = w.agent AND s.state = 'live') AS live
     FROM signalbox.workflow w JOIN signalbox.workflow_version v ON v.id = w.version_id
     WHERE w.name = ANY($1)`,
    [names],
  );
}

/** Whose word something is: several agents may have one name. */
export interface Teller {
  /** Empty for what no agent tells. */
  readonly agent: string;
  /** Public id of its session; empty where that is not known. */
  readonly session: string;
}

/** A workflow that its agent no longer defines, and that something still wants to run. */
export interface LeftWorkflow {
  readonly name: string;
  readonly file: string;
  /** Whether a schedule, or what happens, starts runs of it. */
  readonly starts: boolean;
  /** Unfinished runs, 100 at most. */
  readonly runs: number;
}

/**
 * What the agent told last and tells no more, nor another one of its name. One that is paused, and has no runs, is left
 * in peace.
 */
export function readLeft(
  db: Tx,
  { agent, session }: Teller,
  names: readonly string[],
  limit: number,
): Promise<LeftWorkflow[]> {
  return db.query<LeftWorkflow>(
    `SELECT * FROM (
       SELECT w.name, w.file, NOT w.paused AND (w.schedule IS NOT NULL OR EXISTS (
                SELECT FROM signalbox.workflow_on o WHERE o.workflow = w.name) OR EXISTS (
                SELECT FROM signalbox.asset_automation a
                WHERE a.asset_key = w.name AND a.paused_at IS NULL)) AS starts,
              (SELECT count(*)::int FROM (
                 SELECT FROM signalbox.run_live l WHERE l.workflow = w.name LIMIT 100) l) AS runs
       FROM signalbox.workflow w
       WHERE w.agent = $1 AND w.file <> '' AND w.kind IN ('workflow', 'flow', 'asset')
         AND NOT EXISTS (SELECT FROM unnest($2::text[]) AS g (name) WHERE g.name = w.name)
         AND NOT EXISTS (
           SELECT FROM signalbox.agent_session s JOIN signalbox.definition_set d ON d.id = s.definitions
           WHERE s.name = $1 AND s.state = 'live' AND s.public_id::text <> $4 AND w.name = ANY(d.names))) gone
     WHERE starts OR runs > 0 ORDER BY name LIMIT $3`,
    [agent, textArray(names), limit, session],
  );
}

/** A workflow to store; the times are Unix milliseconds. */
export interface WorkflowRecord extends Described {
  readonly graph: Graph;
  readonly queue: string;
  readonly max_active_runs: number | null;
  /** Whether it is paused when it is new. */
  readonly starts_paused: boolean;
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
      parameters jsonb, queue text, max_active_runs int, starts_paused boolean, version text, graph jsonb,
      next_run_at timestamptz, next_logical_date timestamptz, next_interval_end timestamptz,
      first_run_at timestamptz, first_logical_date timestamptz, first_interval_end timestamptz)
  ), made AS (
    INSERT INTO signalbox.workflow_version (workflow, version, graph, created_at, last_used_at, task_count)
    SELECT name, version, graph, $2, $2, jsonb_array_length(graph -> 'tasks') FROM given ORDER BY name
    ON CONFLICT (workflow, version) DO UPDATE SET last_used_at = excluded.last_used_at
    RETURNING id, workflow
  ), left_behind AS (
    UPDATE signalbox.workflow_version v SET last_used_at = $2
    FROM given g JOIN signalbox.workflow w ON w.name = g.name
    WHERE v.id = w.version_id AND v.version <> g.version
  )
  INSERT INTO signalbox.workflow AS w (
    name, kind, file, description, tags, owners, schedule, parameters, queue, max_active_runs,
    version_id, next_run_at, next_logical_date, next_interval_end, paused, registered_at, updated_at, agent)
  SELECT g.name, g.kind, g.file, g.description, g.tags, g.owners, g.schedule,
         g.parameters, g.queue, g.max_active_runs, made.id,
         g.first_run_at, g.first_logical_date, g.first_interval_end, coalesce(g.starts_paused, false), $2, $2,
         $3
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
    updated_at = excluded.updated_at, agent = excluded.agent`;

/** Stores these workflows and their versions; what is not among them stays. */
export async function upsertWorkflows(
  tx: Tx,
  records: readonly WorkflowRecord[],
  now: Date,
  agent: string | null,
): Promise<void> {
  await tx.execute(UPSERT_WORKFLOWS, [jsonText(records), now, agent]);
}

/** Id of a version, made where it is not there yet. */
export async function ensureVersion(
  tx: Tx,
  of: { workflow: string; version: string; graph: Graph },
  now: Date,
): Promise<string> {
  const [row] = await tx.query<{ id: string }>(
    `INSERT INTO signalbox.workflow_version (workflow, version, graph, created_at, last_used_at, task_count)
     VALUES ($1, $2, $3::jsonb, $4, $4, jsonb_array_length($3::jsonb -> 'tasks'))
     ON CONFLICT (workflow, version) DO UPDATE SET last_used_at = excluded.last_used_at
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

/** Whether who told of a fault, a row e, is there. Either way it is looked up by a key: each agent of a fleet may have the fault. */
const TELLER_LIVES = `(
  EXISTS (SELECT FROM signalbox.agent_session s
          WHERE s.public_id = nullif(e.session, '')::uuid AND s.state = 'live')
  OR e.session = '' AND EXISTS (
    SELECT FROM signalbox.agent_session s WHERE s.name = e.agent AND s.state = 'live'))`;
/** Rows of agents that nobody has heard of for so long go with the next word of any. */
const FORGOTTEN = `(agent, session) <> ($1, $4) AND at < $2::timestamptz - interval '1 hour' AND NOT ${TELLER_LIVES}`;

/** A fault of a file; `otherAgent` where it is one only while that agent is there. */
export interface FileFault extends WorkflowFileError {
  readonly otherAgent?: string | null;
}

/** Replaces the faults that the agent told before: a file that is good now, or gone, has none any more. */
export async function replaceFileErrors(
  tx: Tx,
  { agent, session }: Teller,
  faults: readonly FileFault[],
  now: Date,
): Promise<void> {
  await tx.execute(
    `DELETE FROM signalbox.workflow_file_error e
     WHERE (agent = $1 AND (session = '' OR session = $4) AND (session <> $4 OR file <> ALL($3::text[])))
        OR (${FORGOTTEN})`,
    [agent, now, textArray(faults.map(({ file }) => file)), session],
  );
  if (faults.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.workflow_file_error (file, message, at, agent, session, other_agent)
     SELECT file, message, $2, $3, $4, "otherAgent"
     FROM jsonb_to_recordset($1::jsonb) AS e (file text, message text, "otherAgent" text)
     ORDER BY file
     ON CONFLICT (file, agent, session) DO UPDATE SET
       message = excluded.message, at = excluded.at, other_agent = excluded.other_agent`,
    [jsonText(faults), now, agent, session],
  );
}

const STANDS = `signalbox.in_environment(file, $1) AND (other_agent IS NULL OR EXISTS (
       SELECT FROM signalbox.agent_session s WHERE s.name = e.other_agent AND s.state = 'live'))
       AND (agent = '' OR ${TELLER_LIVES})`;

/** How many files have a fault, whichever server heard of it. */
export async function countFaultyFiles(db: Tx, prefix: string): Promise<number> {
  const [row] = await db.query<{ count: number }>(
    `SELECT count(DISTINCT file)::int AS count FROM signalbox.workflow_file_error e WHERE ${STANDS}`,
    [prefix],
  );
  return row?.count ?? 0;
}

/** Faults of files as they stand, one a file: what several agents tell of it is told once; what one told that has stopped, no more. */
export async function readFileErrors(db: Tx, prefix: string): Promise<WorkflowFileError[]> {
  const rows = await db.query<Omit<WorkflowFileError, 'at'> & { readonly at: Date }>(
    `SELECT file, message, nullif(string_agg(DISTINCT nullif(agent, ''), ', '), '') AS agent, max(at) AS at
     FROM signalbox.workflow_file_error e
     WHERE ${STANDS}
     GROUP BY file, message ORDER BY file, message LIMIT 1000`,
    [prefix],
  );
  return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
}

/** Id of a workflow's newest version. */
export async function findVersion(tx: Tx, workflow: string): Promise<string | undefined> {
  const [row] = await tx.query<{ version_id: string }>(
    'SELECT version_id FROM signalbox.workflow WHERE name = $1',
    [workflow],
  );
  return row?.version_id;
}
