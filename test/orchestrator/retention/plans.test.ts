/**
 * What lists and pages read with many rows stored: the plan of each statement, as the code sends it, reads no large
 * table as a whole, with fresh statistics and with those of an empty table.
 */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fillHistory, makeRanges } from '../../../bench/fill.ts';
import { firstIdAt } from '../../../orchestrator/retention/id-range.ts';
import { findLastGood, listMaterializations } from '../../../orchestrator/store/asset.ts';
import { listCheckResults } from '../../../orchestrator/store/asset-check.ts';
import { listObservations } from '../../../orchestrator/store/asset-observation.ts';
import { listBackfills, listItems } from '../../../orchestrator/store/backfill.ts';
import type { Db, Tx } from '../../../orchestrator/store/connection.ts';
import { listExpected } from '../../../orchestrator/store/expected-run.ts';
import { deleteOnceKeys, deleteWalked, walkRuns } from '../../../orchestrator/store/retention.ts';
import { listRuns, readRuns } from '../../../orchestrator/store/run.ts';
import { readAttempts, readRunActions } from '../../../orchestrator/store/run-history.ts';
import { readLastEnds, readVector } from '../../../orchestrator/store/run-tasks.ts';
import { claimDue, readEarliestDue } from '../../../orchestrator/store/schedule.ts';
import { readSteps } from '../../../orchestrator/store/step-log.ts';
import { listWorkflows } from '../../../orchestrator/store/workflow.ts';
import { migrate } from '../../../server/migrate.ts';
import { startTestPostgres, type TestPostgres } from '../../support/postgres.ts';

const TASKS = 1_000_000;
let database: TestPostgres;
let client: pg.Client;
let runId: string;
let plans: string[] = [];

/** Explains what it is given in place of doing it. */
const explaining: Tx = {
  async query<Row extends object>(sql: string, values: readonly unknown[] = []) {
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(`EXPLAIN ${sql}`, [...values]);
    plans.push(rows.map((row) => row['QUERY PLAN']).join('\n'));
    return [] as Row[];
  },
  async rows<Row extends readonly unknown[]>(sql: string, values?: readonly unknown[]) {
    await this.query(sql, values);
    return [] as unknown as Row[];
  },
  async execute(sql, values) {
    await this.query(sql, values);
    return 0;
  },
};

/** Lists that ask for the order of an index do so in a transaction of their own. */
const inOrder: Db = {
  ...explaining,
  transaction: (work) => work(explaining),
  async batch(work) {
    await client.query('BEGIN');
    try {
      return await work({
        ...explaining,
        execute: async (sql, values) =>
          (await client.query(sql, [...(values ?? [])])).rowCount ?? 0,
      });
    } finally {
      await client.query('ROLLBACK');
    }
  },
};

const FILL = [
  `INSERT INTO signalbox.step_log (run_id, key, state, started_at, finished_at)
   SELECT id, 'a', 'succeeded', created_at, finished_at FROM signalbox.run`,
  `INSERT INTO signalbox.materialization (id, asset_key, at, recorded_at, provenance)
   SELECT (lpad(to_hex(n + 1600000000000), 12, '0') || '7' || repeat('0', 19))::uuid, 'asset-' || n % 100,
          now() - n * interval '1 minute', now(), 'computed' FROM generate_series(1, 50000) AS n`,
  `INSERT INTO signalbox.asset_check_result (id, asset_key, name, passed, severity, blocking, at, metadata)
   SELECT id, asset_key, 'rows', true, 'error', false, at, '{}' FROM signalbox.materialization`,
  `INSERT INTO signalbox.asset_observation (id, asset_key, recorded_at, metadata)
   SELECT id, asset_key, recorded_at, '{}' FROM signalbox.materialization`,
  `INSERT INTO signalbox.expected_run (workflow, logical_date, interval_end, due_at, outcome, noticed_at)
   SELECT asset_key, at, at, at, CASE WHEN random() < 0.01 THEN 'missed' ELSE 'run' END, at
   FROM signalbox.materialization`,
  `INSERT INTO signalbox.once_key (workflow, key_hash, key, state, on_unknown, run_id, token, held_at)
   SELECT asset_key, sha256(id::text::bytea), id::text, 'done', 'stop', id, 1, at FROM signalbox.materialization`,
];
const LARGE =
  /Seq Scan on (?:signalbox\.)?(run|task_log\w*|step_log_(?!other)\w+|materialization|asset_check_result|asset_observation|expected_run|once_key)\b/;

beforeAll(async () => {
  database = await startTestPostgres();
  await migrate(database.url);
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  for (const table of [
    'run',
    'materialization',
    'asset_check_result',
    'expected_run',
    'once_key',
  ]) {
    await client.query(`ALTER TABLE signalbox.${table} SET (autovacuum_enabled = false)`);
  }
  await makeRanges(client);
  await client.query('ANALYZE');
  await fillHistory(client, TASKS, '1', () => undefined);
  const { rows } = await client.query<{ id: string }>(
    'SELECT id FROM signalbox.run ORDER BY id OFFSET (SELECT count(*) / 2 FROM signalbox.run) LIMIT 1',
  );
  runId = rows[0]?.id ?? '';
  for (const sql of FILL) await client.query(sql);
}, 120_000);
afterAll(async () => {
  await client.end();
  await database.stop();
});

const ALL = {
  ...{ workflow: null, engine: null, states: null, businessKey: null, before: null },
  prefix: '',
};
const page = { after: null, limit: 100, prefix: '' };
const uuid = firstIdAt(1_700_000_000_000);
const before = new Date(1_000_000_000_000);

const READS: Readonly<Record<string, () => Promise<unknown>>> = {
  'the newest runs': () => listRuns(inOrder, { ...ALL, limit: 100 }),
  'the newest runs of an environment': () =>
    listRuns(inOrder, { ...ALL, prefix: '~pr-1~', limit: 100 }),
  'a later page of runs': () => listRuns(inOrder, { ...ALL, before: runId, limit: 100 }),
  'runs of a workflow': () => listRuns(inOrder, { ...ALL, workflow: 'stored-7', limit: 100 }),
  'failed runs': () => listRuns(inOrder, { ...ALL, states: ['failed'], limit: 100 }),
  'runs that succeeded': () => listRuns(inOrder, { ...ALL, states: ['succeeded'], limit: 100 }),
  'failed and running runs of a workflow': () =>
    listRuns(inOrder, {
      ...{ ...ALL, workflow: 'stored-7', states: ['failed', 'running'], limit: 100 },
    }),
  'runs of another engine': () => listRuns(inOrder, { ...ALL, engine: 'airflow', limit: 100 }),
  'runs with a business key': () =>
    listRuns(inOrder, { ...ALL, workflow: 'stored-7', businessKey: 'k', limit: 100 }),
  'one run': () => readRuns(explaining, [runId]),
  'how the tasks of a run stand': () => readVector(explaining, runId),
  'the tasks of a run': () => readLastEnds(explaining, runId),
  'the attempts of a task': () => readAttempts(explaining, runId, 0),
  'the steps of a flow': () => readSteps(explaining, runId),
  'what was done to a run': () => readRunActions(explaining, runId),
  workflows: () => listWorkflows(explaining, page),
  'due schedules': () => claimDue(explaining, before, 500),
  'the earliest schedule': () => readEarliestDue(explaining),
  'versions of an asset': () => listMaterializations(explaining, 'asset-7', page),
  'the last good version of an asset': () => findLastGood(explaining, 'asset-7'),
  'what checks said': () => listCheckResults(explaining, 'asset-7', { check: null, ...page }),
  observations: () => listObservations(explaining, 'asset-7', page),
  'expected runs of a workflow': () =>
    listExpected(explaining, { workflow: 'asset-7', outcome: null, ...page }),
  'missed runs': () => listExpected(explaining, { workflow: null, outcome: 'missed', ...page }),
  backfills: () =>
    listBackfills(explaining, {
      ...{ workflow: null, state: null, before: null, limit: 100, prefix: '' },
    }),
  'items of a backfill': () => listItems(explaining, uuid, 0, 100),
  'a walk of retention over runs': () =>
    walkRuns(explaining, { cursor: runId, before, until: uuid, limit: 1_000 }),
  'retention of versions': () =>
    deleteWalked(explaining, 'materializations', { cursor: null, until: uuid, limit: 1_000 }),
  'retention of once keys': () => deleteOnceKeys(explaining, before, 1_000),
};

describe.each(['stale', 'fresh'] as const)('with %s statistics', (statistics) => {
  beforeAll(async () => {
    if (statistics === 'fresh') await client.query('ANALYZE');
  }, 60_000);
  it.each(Object.keys(READS))('%s are found by an index', async (name) => {
    plans = [];
    await READS[name]?.();
    expect(plans.length).toBeGreaterThan(0);
    // Autovacuum is off here; where it is on, this table is never without statistics for long.
    if (statistics === 'stale' && name === 'retention of once keys') return;
    for (const plan of plans) expect(plan).not.toMatch(LARGE);
  });
});
