/**
 * The history behind the benchmark of the API, made by the databases themselves: runs over all workflows (a twentieth
 * of them of one), their tasks, and what hangs on runs, assets and incidents.
 */
import pg from 'pg';
import { definitionsOf } from '../orchestrator/define/registry.ts';
import { assetKey, manyAssets, manySensors, manyWorkflows, TASKS } from './api-definitions.ts';
import { registerAll } from './figures.ts';
import { fillFast, fillTasks, type History, historyOf, inParts, madeRuns } from './fill.ts';
import type { ClickHouse } from './processes.ts';
import type { Report } from './report.ts';
import type { Server } from './stand.ts';

export interface Sizes {
  readonly runs: number;
  readonly workflows: number;
  readonly assets: number;
}

const SENSORS = 500;
const FAR = `now() + interval '10 years'`;
/** An id of that moment. */
const ID = 'signalbox.id_from(';

/** Registers everything as an agent does. */
export function registerMany(server: Server, sizes: Sizes): Promise<number> {
  return registerAll(
    server,
    definitionsOf([
      ...manyWorkflows(sizes.workflows),
      ...manyAssets(sizes.assets),
      ...manySensors(SENSORS),
    ]),
  );
}

/** Fills the databases; the tables may have no statistics then. */
export async function fillAll(
  databaseUrl: string,
  clickhouse: ClickHouse,
  sizes: Sizes,
  report: Report,
): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await fillFast(client);
    const history = historyOf(sizes.runs);
    await client.query(`
      CREATE TABLE IF NOT EXISTS public.bench_workflow AS
      SELECT (row_number() OVER (ORDER BY name) - 1)::int AS place, name, version_id
      FROM signalbox.workflow WHERE name LIKE 'flow-%'`);
    await client.query('CREATE UNIQUE INDEX ON public.bench_workflow (place)');
    await client.query('ANALYZE public.bench_workflow');
    const statements = [
      fillRuns(history, sizes.workflows),
      fillTasks(history),
      ...besideRuns(history),
    ];
    await inParts(
      sizes.runs,
      async (first, last) => {
        for (const sql of statements) await client.query(sql, [first, last]);
      },
      (done) => report.progress('runs and tasks', done, sizes.runs),
    );
    const rest = besideAssets(sizes, history);
    for (const [index, sql] of rest.entries()) {
      report.progress('assets, incidents and the like', index, rest.length);
      await client.query(sql);
    }
    report.progress('log lines in ClickHouse', 0, 1);
    await fillLogs(clickhouse, history);
  } finally {
    await client.end();
  }
}

function fillRuns(history: History, workflows: number): string {
  return `
    INSERT INTO signalbox.run (id, workflow, version_id, state, business_key, trigger, logical_date, interval_start,
      interval_end, created_at, started_at, finished_at, error, tasks)
    SELECT id, w.name, w.version_id, CASE n % 100 WHEN 7 THEN 'failed' WHEN 8 THEN 'cancelled' ELSE 'succeeded' END,
      'signalbox|' || w.name || '|-|{}', CASE WHEN n % 3 = 0 THEN 'schedule' ELSE 'manual' END,
      CASE WHEN n % 3 = 0 THEN at END, CASE WHEN n % 3 = 0 THEN at - interval '1 day' END, CASE WHEN n % 3 = 0 THEN at END,
      at, at, at + interval '10 seconds',
      CASE WHEN n % 100 = 7 THEN '{"name":"Error","message":"the source answered 503"}'::jsonb END,
      CASE WHEN n % 100 = 7 THEN '\\x02020203060606060606'::bytea END
    FROM (${madeRuns(history)}) AS made
    JOIN public.bench_workflow w ON w.place = CASE WHEN n % 20 = 0 THEN 0 ELSE n % ${workflows} END`;
}

/** What stands beside runs, for runs $1 to $2. */
function besideRuns(history: History): string[] {
  const made = `(${madeRuns(history)}) AS made JOIN signalbox.run r USING (id)`;
  return [
    `INSERT INTO signalbox.expected_run (workflow, logical_date, interval_end, due_at, outcome, run_id, reason, noticed_at)
     SELECT r.workflow, r.logical_date, at, at, 'run', id, NULL, at FROM ${made} WHERE n % 3 = 0
     UNION ALL
     SELECT r.workflow, at + interval '1 second', at, at, 'missed', NULL, 'down', at FROM ${made} WHERE n % 50 = 1
     ON CONFLICT DO NOTHING`,
    `INSERT INTO signalbox.deadline_miss (key, workflow, run_id, name, due_at, noticed_at, reason, detail, on_miss,
       acted_at, ended_at, end_state)
     SELECT 'bench-' || n, r.workflow, id, 'sla', at, at, 'slow', 'it took longer than it may', 'record', at, at, 'succeeded'
     FROM ${made} WHERE n % 20 = 1`,
    `INSERT INTO signalbox.callback (key, workflow, run_id, callback, event, state, attempts, created_at, ended_at)
     SELECT 'bench-' || n, r.workflow, id::text, 'on-failure', '{}', 'succeeded', 1, at, at FROM ${made} WHERE n % 20 = 7`,
    `INSERT INTO signalbox.run_action (run_id, at, actor, action, detail)
     SELECT id, at, 'bench', 'retry', '{"tasks":["load"]}' FROM ${made} WHERE n % 20 = 7`,
    `INSERT INTO signalbox.artifact (key, version, kind, title, run_id, task_key, mime, bytes, value, created_at, updated_at)
     SELECT 'report-' || n % 1000, n, CASE WHEN n % 2 = 0 THEN 'markdown' ELSE 'table' END, 'Report', id, 'load',
       'application/json', 40, CASE WHEN n % 2 = 0 THEN '"# all is well"'::jsonb ELSE '[{"rows":1}]'::jsonb END, at, at
     FROM ${made} WHERE n % 10 IN (3, 6)`,
  ];
}

function besideAssets({ assets, runs }: Sizes, { endMs }: History): string[] {
  const end = `to_timestamp(${endMs} / 1000.0)`;
  const versions = 200;
  const key = `'bench/asset_' || lpad((a - 1)::text, 4, '0')`;
  const each = `generate_series(1, ${assets}) AS a`;
  const id = (kind: number) =>
    `(left(${ID}${end} - v * interval '1 hour')::text, 14) || '7' || lpad(to_hex(v & 4095), 3, '0') || '-8${kind}00-' || lpad(to_hex(a), 12, '0'))::uuid`;
  return [
    `INSERT INTO signalbox.materialization (id, asset_key, at, recorded_at, provenance, metadata, data_version)
     SELECT ${id(1)}, ${key}, ${end} - v * interval '1 hour', ${end} - v * interval '1 hour', 'computed',
       jsonb_build_object('rows', v, 'bytes', v * 1000), v::text
     FROM generate_series(${versions}, 1, -1) AS v, ${each}`,
    `UPDATE signalbox.asset a SET computed_at = m.recorded_at, computed_id = m.id, last_id = m.id
     FROM (SELECT DISTINCT ON (asset_key) asset_key, id, recorded_at FROM signalbox.materialization
           ORDER BY asset_key, id DESC) m WHERE m.asset_key = a.key`,
    `INSERT INTO signalbox.asset_observation (id, asset_key, at, recorded_at, metadata)
     SELECT ${id(2)}, ${key}, ${end} - v * interval '1 hour', ${end} - v * interval '1 hour', jsonb_build_object('rows', v)
     FROM generate_series(50, 1, -1) AS v, ${each}`,
    `INSERT INTO signalbox.asset_check_result (id, asset_key, name, passed, severity, blocking, at, metadata)
     SELECT ${id(3)}, ${key}, 'not-empty', v % 10 <> 0, 'error', true, ${end} - v * interval '1 hour', '{"rows":1}'
     FROM generate_series(${versions}, 1, -1) AS v, ${each}`,
    `INSERT INTO signalbox.asset_check (asset_key, name, passed, blocking, at)
     SELECT ${key}, 'not-empty', true, true, ${end} FROM ${each} ON CONFLICT DO NOTHING`,
    `INSERT INTO signalbox.asset_partition (asset_key, partition, version_id, at, recorded_at, end_at, failed_at)
     SELECT a.key, to_char(date '2024-01-01' + d, 'YYYY-MM-DD'), gen_random_uuid(), ${end}, ${end},
       date '2024-01-02' + d, CASE WHEN d % 50 = 0 THEN ${end} END
     FROM signalbox.asset a, generate_series(0, 990) AS d WHERE a.partitions IS NOT NULL ON CONFLICT DO NOTHING`,
    `UPDATE signalbox.asset a SET partitions_made = 991, partitions_failed = 20 WHERE partitions IS NOT NULL`,
    `INSERT INTO signalbox.dynamic_partition (name, key, added_at, added_by)
     SELECT 'tenants', 'tenant-' || n, ${end}, 'bench' FROM generate_series(1, 10000) AS n`,
    `INSERT INTO signalbox.pool (name, kind, max) SELECT 'pool-' || n, 'task-slots', 10 FROM generate_series(1, 200) AS n`,
    `INSERT INTO signalbox.queue (name) SELECT 'queue-' || n FROM generate_series(1, 200) AS n`,
    `INSERT INTO signalbox.agent_session (public_id, name, queues, concurrency, state, started_at, last_heartbeat_at,
       lease_expires_at, ended_at)
     SELECT gen_random_uuid(), 'agent-' || n % 1000, '{default}', 10, 'stopped', ${end}, ${end}, ${end}, ${end}
     FROM generate_series(1, 20000) AS n`,
    ...[0, 1].map(
      (
        part,
      ) => `INSERT INTO signalbox.agent_session (public_id, name, queues, concurrency, started_at,
       last_heartbeat_at, lease_expires_at)
     SELECT gen_random_uuid(), 'live-${part}-' || n, '{nobody}', 10, ${end}, ${end}, ${FAR}
     FROM generate_series(1, 250) AS n`,
    ),
    `INSERT INTO signalbox.audit (at, actor, role, action, subject, outcome, status, request)
     SELECT ${end}, 'bench', 'operator', 'POST /api/v1/runs', 'flow', 'ok', 200, n::text
     FROM generate_series(1, ${Math.ceil(runs / 5)}) AS n`,
    `INSERT INTO signalbox.backfill (id, workflow, state, from_at, to_at, run_order, concurrency, priority, rerun,
       created_by, created_at, finished_at)
     SELECT ${ID}${end} - n * interval '1 minute'), 'flow-' || lpad((n % 100)::text, 5, '0'), 'succeeded', ${end}, ${end},
       'oldest-first', 4, 0, 'missing', 'bench', ${end} - n * interval '1 minute', ${end}
     FROM generate_series(1, 2000) AS n`,
    `INSERT INTO signalbox.backfill_item (backfill_id, seq, key, state)
     SELECT id, n, n::text, 'succeeded' FROM signalbox.backfill, generate_series(1, 100) AS n`,
    `INSERT INTO signalbox.flow_wait (run_id, key, kind, message, created_at)
     SELECT gen_random_uuid(), 'approve', 'input', 'Is that right?', ${end} FROM generate_series(1, 5000)`,
    ...incidents(end),
  ];
}

function incidents(end: string): string[] {
  return [
    `INSERT INTO signalbox.incident (id, kind, fingerprint, status, severity, title, evidence, evidence_at, detected_at,
       resolved_at)
     SELECT gen_random_uuid(), (ARRAY['pool-exhaustion', 'duplicate-runs', 'asset-stale', 'agent-lost'])[1 + n % 4],
       'bench-' || n, 'resolved', 'warning', 'Bench', jsonb_build_array(jsonb_build_object('detector', 'agent-lost',
         'version', '1', 'query', 'SELECT 1', 'parameters', '{}'::jsonb, 'rows', '[]'::jsonb, 'threshold', '{}'::jsonb)),
       ${end}, ${end}, ${end}
     FROM generate_series(1, 20000) AS n`,
    `INSERT INTO signalbox.incident_event (incident_id, at, type, reason, actor)
     SELECT id, detected_at, 'note', 'by-hand', 'bench' FROM signalbox.incident, generate_series(1, 8)`,
    `INSERT INTO signalbox.execution (id, incident_id, target, runbook, status, mode, plan, requested_by, created_at,
       finished_at)
     SELECT gen_random_uuid(), id, 'bench', 'requeue-lost', 'succeeded', 'automatic', '{"actions":[],"summary":"nothing"}',
       'signalbox', detected_at, detected_at FROM signalbox.incident`,
  ];
}

/** Ten lines for each of the last hundred thousand runs. */
async function fillLogs({ url }: ClickHouse, { runs, endMs, stepMs }: History): Promise<void> {
  const newest = Math.min(runs, 100_000);
  const address = new URL(url);
  const sql = `
    INSERT INTO otel.otel_logs (Timestamp, SeverityText, SeverityNumber, ServiceName, Body, LogAttributes)
    SELECT fromUnixTimestamp64Milli(ms + 100 * (number % 10)), 'INFO', 9, 'signalbox-agent',
      concat('read ', toString(number), ' rows'),
      map('cicd.pipeline.run.id', concat(substring(hex, 5, 8), '-', substring(hex, 13, 4), '-7', substring(low, 14, 3),
            '-8', substring(low, 2, 3), '-', substring(low, 5, 12)),
          'cicd.pipeline.task.name', ['${TASKS.join("','")}'][number % 10 + 1], 'signalbox.task.attempt', '1')
    FROM (SELECT number, toInt64(${runs - newest} + 1 + intDiv(number, 10)) AS n,
                 toInt64(${endMs}) - (${runs} - n) * ${stepMs} AS ms,
                 leftPad(lower(hex(toUInt64(ms))), 16, '0') AS hex, leftPad(lower(hex(toUInt64(n))), 16, '0') AS low
          FROM numbers(${newest * 10}))
    SETTINGS max_partitions_per_insert_block = 1000`;
  const response = await fetch(`${address.origin}/`, {
    method: 'POST',
    headers: {
      'x-clickhouse-user': address.username,
      'x-clickhouse-key': address.password,
    },
    body: sql,
  });
  if (!response.ok) throw new Error(`ClickHouse: ${await response.text()}`);
}

/** Ids and names to ask for: newest, oldest and some between. */
export async function readSamples(
  databaseUrl: string,
  sizes: Sizes,
): Promise<Readonly<Record<string, readonly string[]>>> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const some = async (sql: string) =>
      (await client.query<{ value: string }>(sql)).rows.map(({ value }) => value);
    const spread = (table: string, column: string) =>
      some(`SELECT ${column}::text AS value FROM ${table} ORDER BY md5(${column}::text) LIMIT 100`);
    const asset = (index: number) => assetKey(Math.min(sizes.assets - 1, index));
    return {
      runs: [
        ...(await some(`(SELECT id AS value FROM signalbox.run ORDER BY id DESC LIMIT 40)
          UNION ALL (SELECT id FROM signalbox.run WHERE other_state = 'failed' ORDER BY id DESC LIMIT 40)
          UNION ALL (SELECT id FROM signalbox.run ORDER BY id LIMIT 40)`)),
      ],
      workflows: ['flow-00000', 'flow-00001', 'flow-00050', 'flow-00099'],
      tasks: ['extract', 'load'],
      'assets partitions': [asset(0), asset(20), asset(500)],
      assets: [asset(0), asset(101), asset(550), asset(1_020), asset(1_999)],
      partitions: ['tenants'],
      sensors: ['sensor-0', 'sensor-300'],
      pools: ['pool-1', 'pool-150'],
      backfills: await spread('signalbox.backfill', 'id'),
      incidents: await spread('signalbox.incident', 'id'),
      executions: await spread('signalbox.execution', 'id'),
      artifacts: await some(
        `SELECT id::text AS value FROM signalbox.artifact ORDER BY id DESC LIMIT 50`,
      ),
    };
  } finally {
    await client.end();
  }
}
