/**
 * The tables as PostgreSQL has them against the rows as the code reads them. A description must name each field
 * of its row type with a type that fits (the compiler sees to it) and must be what the migrated database says.
 */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ExecutionRow } from '../../incidents/store/executions.ts';
import type { IncidentRow } from '../../incidents/store/incidents.ts';
import type { AssetRow, MaterializationRow } from '../../orchestrator/store/asset.ts';
import type { CheckResultRow } from '../../orchestrator/store/asset-check.ts';
import type { ObservationRow } from '../../orchestrator/store/asset-observation.ts';
import type { BackfillItemRow, BackfillRow } from '../../orchestrator/store/backfill.ts';
import type { ExpectedRow } from '../../orchestrator/store/expected-run.ts';
import type { ExternalRunRow } from '../../orchestrator/store/external.ts';
import type { EdgeRow } from '../../orchestrator/store/lineage.ts';
import type { PoolRow } from '../../orchestrator/store/pool.ts';
import type { QueueRow } from '../../orchestrator/store/queue.ts';
import type { RunRow } from '../../orchestrator/store/run.ts';
import type { DueRow } from '../../orchestrator/store/schedule.ts';
import type { SensorRow } from '../../orchestrator/store/sensor.ts';
import type { WaitRow } from '../../orchestrator/store/signal.ts';
import type { StepRow } from '../../orchestrator/store/step-log.ts';
import type { WorkflowRow } from '../../orchestrator/store/workflow.ts';
import { migrate } from '../../server/migrate.ts';
import type { AuditRow } from '../../server/store/audit.ts';
import type { TokenRow } from '../../server/store/tokens.ts';
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts';

/** PostgreSQL's type of what the driver gives as `T`. */
type Plain<T> = [T] extends [Date]
  ? 'timestamptz'
  : [T] extends [string]
    ? 'uuid' | 'text' | 'int8'
    : [T] extends [number]
      ? 'int2' | 'int4' | 'float8'
      : [T] extends [boolean]
        ? 'bool'
        : 'jsonb' | '_text';
/** With `?` where it can be null. */
type Sql<T> = null extends T ? `${Plain<NonNullable<T>>}?` : Plain<T>;
type Snake<T extends string> = T extends `${infer First}${infer Rest}`
  ? `${First extends Uppercase<First> & Exclude<First, '_' | Lowercase<First>> ? '_' : ''}${Lowercase<First>}${Snake<Rest>}`
  : T;
type Described<Row> = { readonly [Field in keyof Row & string as Snake<Field>]: Sql<Row[Field]> };

/** What is of its row in run_live, or of what it waits for. */
type OfLive = 'live_state' | 'paused_at' | 'paused_by' | 'waits_for';
const run: Described<Omit<RunRow, OfLive>> = {
  id: 'uuid',
  workflow: 'text',
  engine: 'text',
  version_id: 'int8?',
  state: 'text',
  parameters: 'jsonb',
  logical_date: 'timestamptz?',
  interval_start: 'timestamptz?',
  interval_end: 'timestamptz?',
  trigger: 'text',
  priority: 'int2',
  idempotency_key: 'text?',
  business_key: 'text',
  parent_run_id: 'uuid?',
  retry_of: 'uuid?',
  traceparent: 'text?',
  created_at: 'timestamptz',
  started_at: 'timestamptz?',
  finished_at: 'timestamptz?',
  error: 'jsonb?',
  expanded: 'jsonb?',
};
const externalRun: Described<Omit<ExternalRunRow, keyof RunRow | 'external_id'>> = {
  inputs: '_text?',
  outputs: '_text?',
};
const workflow: Described<Omit<WorkflowRow & DueRow, 'version' | 'task_count' | keyof DueRow>> = {
  kind: 'text',
  file: 'text',
  description: 'text?',
  tags: 'jsonb',
  owners: 'jsonb',
  paused: 'bool',
};
// What is due has a schedule and its moments; a workflow at large may have none.
const due: Described<Omit<DueRow, 'schedule' | 'next_run_at' | 'next_logical_date'>> = {
  name: 'text',
  next_interval_end: 'timestamptz?',
  paused_at: 'timestamptz?',
  unpaused_at: 'timestamptz?',
  parameters: 'jsonb?',
  max_active_runs: 'int4?',
  version_id: 'int8',
};
const scheduled: Described<Pick<WorkflowRow, 'schedule' | 'next_run_at'>> = {
  schedule: 'jsonb?',
  next_run_at: 'timestamptz?',
};
const expectedRun: Described<ExpectedRow> = {
  workflow: 'text',
  logical_date: 'timestamptz',
  interval_end: 'timestamptz',
  ...{ due_at: 'timestamptz', outcome: 'text', run_id: 'uuid?', reason: 'text?' },
  ...{ since: 'timestamptz?', noticed_at: 'timestamptz' },
  ...{ events: 'int4?', made_good_at: 'timestamptz?', made_good_by: 'uuid?' },
};
const step: Described<StepRow> = {
  key: 'text',
  state: 'text',
  started_at: 'timestamptz',
  finished_at: 'timestamptz',
  result: 'jsonb?',
  error: 'jsonb?',
};
const pool: Described<PoolRow> = { name: 'text', kind: 'text', max: 'int4', server: 'text?' };
const queue: Described<Pick<QueueRow, 'name' | 'paused' | 'concurrency' | 'priority'>> = {
  name: 'text',
  paused: 'bool',
  concurrency: 'int4?',
  priority: 'int4',
};
const edge: Described<EdgeRow> = {
  ...{ upstream: 'text', downstream: 'text', origin: 'text' },
  mapping: 'jsonb?',
} as const;
/** What is of other tables. */
type OfAsset =
  | ('made_here' | 'depends_on' | 'served')
  | ('check_states' | 'other_checks' | 'last_observation');
const asset: Described<Omit<AssetRow, OfAsset>> = {
  key: 'text',
  description: 'text?',
  owners: 'jsonb',
  checks: 'jsonb',
  declared_policy: 'jsonb',
  set_policy: 'jsonb',
  computed_at: 'timestamptz?',
  fallback: 'bool',
  io: 'text?',
  partitions: 'jsonb?',
  partitions_made: 'int4',
  partitions_failed: 'int4',
  complete_at: 'timestamptz?',
  code_version: 'text?',
};
const materialization: Described<MaterializationRow> = {
  id: 'uuid',
  asset_key: 'text',
  at: 'timestamptz',
  recorded_at: 'timestamptz',
  run_id: 'uuid?',
  partition: 'text?',
  provenance: 'text',
  metadata: 'jsonb',
  stored: 'jsonb?',
  data_version: 'text?',
  code_version: 'text?',
  inputs: 'jsonb?',
};
const checkResult: Described<CheckResultRow> = {
  id: 'uuid',
  asset_key: 'text',
  name: 'text',
  passed: 'bool',
  severity: 'text',
  blocking: 'bool',
  at: 'timestamptz',
  run_id: 'uuid?',
  metadata: 'jsonb',
};
const observation: Described<ObservationRow> = {
  id: 'uuid',
  asset_key: 'text',
  at: 'timestamptz?',
  recorded_at: 'timestamptz',
  run_id: 'uuid?',
  data_version: 'text?',
  metadata: 'jsonb',
};
const incident: Described<IncidentRow> = {
  id: 'uuid',
  number: 'int8',
  kind: 'text',
  fingerprint: 'text',
  status: 'text',
  severity: 'text',
  title: 'text',
  root_cause: 'text?',
  diagnosis: 'text?',
  subjects: 'jsonb',
  affected: 'jsonb',
  evidence: 'jsonb',
  evidence_at: 'timestamptz',
  detected_at: 'timestamptz',
  acknowledged_at: 'timestamptz?',
  mitigated_at: 'timestamptz?',
  resolved_at: 'timestamptz?',
  needs_human: 'bool',
  clear_since: 'timestamptz?',
  respond_after: 'timestamptz?',
  skip_reason: 'text?',
  refused_since: 'timestamptz?',
};
const execution: Described<ExecutionRow> = {
  id: 'uuid',
  incident_id: 'uuid',
  target: 'text',
  runbook: 'text',
  status: 'text',
  mode: 'text',
  parameters: 'jsonb',
  plan: 'jsonb',
  findings: 'jsonb',
  guardrails: 'jsonb',
  results: 'jsonb',
  run_id: 'text?',
  requested_by: 'text',
  approved_by: 'text?',
  verdict: 'text?',
  created_at: 'timestamptz',
  acted_at: 'timestamptz?',
  act_ended_at: 'timestamptz?',
  finished_at: 'timestamptz?',
};
const token: Described<TokenRow> = {
  name: 'text',
  role: 'text',
  created_by: 'text',
  created_at: 'timestamptz',
  last_used_at: 'timestamptz?',
  environment: 'text?',
};
/** `at` is read as text. */
const audit: Described<Omit<AuditRow, 'at'>> = {
  ...{ id: 'int8', status: 'int4' },
  ...{ actor: 'text', role: 'text', action: 'text', subject: 'text' },
  ...{ outcome: 'text', request: 'text' },
};

const backfill: Described<BackfillRow> = {
  id: 'uuid',
  workflow: 'text',
  state: 'text',
  ...{ from_at: 'timestamptz', to_at: 'timestamptz', run_order: 'text', rerun: 'text' },
  ...{ concurrency: 'int4', priority: 'int2' },
  parameters: 'jsonb',
  idempotency_key: 'text?',
  created_by: 'text',
  created_at: 'timestamptz',
  finished_at: 'timestamptz?',
  error: 'text?',
};
const backfillItem: Described<BackfillItemRow> = {
  seq: 'int4',
  key: 'text',
  logical_date: 'timestamptz?',
  interval_start: 'timestamptz?',
  interval_end: 'timestamptz?',
  partition: 'text?',
  state: 'text',
  tries: 'int4',
  run_id: 'uuid?',
};
const sensor: Described<SensorRow> = {
  name: 'text',
  file: 'text',
  description: 'text?',
  queue: 'text',
  triggers: 'text?',
  every_ms: 'int4',
  timeout_ms: 'int4',
  has_code: 'bool',
  paused: 'bool',
  cursor: 'text?',
  state: 'jsonb?',
  next_look_at: 'timestamptz',
  held_until: 'timestamptz?',
  last_look_at: 'timestamptz?',
  last_error: 'jsonb?',
  failures: 'int4',
  skip_reason: 'text?',
  last_runs: 'jsonb',
};
const flowWait: Described<WaitRow> = {
  run_id: 'uuid',
  key: 'text',
  kind: 'text',
  name: 'text',
  correlation: 'text',
  message: 'text?',
  schema: 'jsonb?',
  created_at: 'timestamptz',
  deadline: 'timestamptz?',
  state: 'text',
  result: 'jsonb?',
  answered_at: 'timestamptz?',
  answered_by: 'text?',
};

const DESCRIBED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  run: { ...run, ...externalRun, external_id: 'text?', other_state: 'text?' },
  workflow: { ...workflow, ...due, ...scheduled },
  expected_run: expectedRun,
  step_log: step,
  pool,
  queue,
  asset_edge: edge,
  asset,
  materialization,
  asset_check_result: checkResult,
  asset_observation: observation,
  incident,
  execution,
  backfill,
  backfill_item: backfillItem,
  sensor,
  flow_wait: flowWait,
  api_token: token,
  audit,
};
/** Columns that a row type leaves out, since only statements use them. */
const UNREAD: Readonly<Record<string, readonly string[]>> = {
  run: ['result', 'tasks'],
  workflow: ['agent', 'queue', 'next_logical_date', 'registered_at', 'updated_at'],
  step_log: ['run_id'],
  pool: ['updated_at', 'updated_by'],
  queue: ['rate_count', 'rate_per_ms', 'rate_tokens', 'rate_at'],
  asset: [
    ...['workflow', 'queue', 'task', 'source', 'schema', 'computed_id', 'served_id'],
    ...['last_failed_at', 'last_failure', 'updated_at', 'partition_runs', 'last_id'],
    ...['observed', 'observed_at', 'observation_id'],
  ],
  materialization: ['value', 'idempotency_key'],
  asset_observation: ['idempotency_key', 'changed_at'],
  backfill_item: ['backfill_id'],
  sensor: ['version', 'session_id', 'token', 'registered_at', 'updated_at'],
  flow_wait: ['event_id'],
  api_token: ['hash', 'revoked_at'],
  audit: ['at'],
};

let database: TestPostgres;
let client: pg.Client;

beforeAll(async () => {
  database = await startTestPostgres();
  await migrate(database.url);
  client = new pg.Client(database.url);
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await database.stop();
});

/** Columns by table, as `type` or `type?`. */
async function columnsOf(): Promise<Map<string, Record<string, string>>> {
  const { rows } = await client.query(
    `SELECT table_name, column_name, udt_name || CASE is_nullable WHEN 'YES' THEN '?' ELSE '' END AS type
     FROM information_schema.columns WHERE table_schema = 'signalbox' ORDER BY table_name, ordinal_position`,
  );
  const tables = new Map<string, Record<string, string>>();
  for (const { table_name, column_name, type } of rows) {
    tables.set(table_name, { ...tables.get(table_name), [column_name]: type });
  }
  return tables;
}

/** Columns, constraints, indexes, triggers and sequences, as PostgreSQL tells them. */
async function wholeSchema(): Promise<unknown> {
  const { rows } = await client.query(
    `SELECT conrelid::regclass::text AS place, conname AS name, pg_get_constraintdef(oid) AS text
     FROM pg_constraint WHERE connamespace = 'signalbox'::regnamespace
     UNION ALL SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'signalbox'
     UNION ALL SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger
       WHERE NOT tgisinternal
     UNION ALL SELECT 'ledger', module || '/' || name, hash || applied_at FROM signalbox.migration
     UNION ALL SELECT relname, relkind::text, reloptions::text FROM pg_class
       WHERE relnamespace = 'signalbox'::regnamespace
     ORDER BY 1, 2, 3`,
  );
  return { rows, columns: Object.fromEntries(await columnsOf()) };
}

describe('the schema of PostgreSQL', () => {
  it.each(Object.entries(DESCRIBED))('has in %s what the code reads from it', async (name, row) => {
    const { ...columns } = (await columnsOf()).get(name);
    for (const unread of UNREAD[name] ?? []) {
      expect(Object.keys(columns)).toContain(unread);
      delete columns[unread];
    }
    expect(columns).toEqual(row);
  });

  it('is changed by nothing when all migrations are applied again', async () => {
    const before = await wholeSchema();
    expect(await migrate(database.url)).toEqual([]);
    expect(await wholeSchema()).toEqual(before);
  });
});
