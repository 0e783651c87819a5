/**
 * What growth costs: the shapes of `throughput` on an empty database and on one with millions of ended tasks, with
 * statistics that are fresh, that are from when the tables were empty, and with none; and how long it takes to read
 * lists, to register thousands of workflows and to look at their schedules. Prints figures; judges nothing.
 * BENCH_TASKS is the number of stored tasks, BENCH_WORKFLOWS that of workflows.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { httpTransport } from '../orchestrator/agent/http-transport.ts';
import { definitionsOf } from '../orchestrator/define/registry.ts';
import { workflow } from '../orchestrator/index.ts';
import { SHAPES } from './bench-workflows.ts';
import { fillHistory, makeRanges } from './fill.ts';
import { startNothing, startPostgres } from './processes.ts';
import {
  call,
  quantiles,
  registered,
  runAll,
  type Server,
  startAgentChild,
  startServerChild,
} from './stand.ts';

const TASKS = Number(process.env['BENCH_TASKS'] ?? 10_000_000);
const WORKFLOWS = Number(process.env['BENCH_WORKFLOWS'] ?? 15_000);
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3);
const CALLS = 100;
const TABLES = ['run', 'run_live', 'task_live', 'event_batch'];

/** Measures before and after, and prints. */
export async function benchScale(): Promise<void> {
  await using postgres = await startPostgres();
  await using clickhouse = await startNothing();
  const pool = new pg.Pool({ connectionString: postgres.url, max: 2 });
  const client = new pg.Client({ connectionString: postgres.url });
  try {
    await using server = await startServerChild(postgres, clickhouse.url);
    await client.connect();
    await makeRanges(client);
    await using agent = await startAgentChild(server.first);
    await registered(pool, 'bench-chain');
    await printShapes('empty', server.first, pool);
    await holdStatistics(client);
    await client.query('ANALYZE');
    const { rows } = await client.query<{ id: string }>(
      `SELECT version_id AS id FROM signalbox.workflow WHERE name = 'bench-chain'`,
    );
    const startedAt = performance.now();
    const runId = await fillHistory(client, TASKS, rows[0]?.id ?? '');
    print(`${count(TASKS)} ended tasks stored in ${seconds(performance.now() - startedAt)}`);
    await printShapes(`${count(TASKS)}, statistics of empty tables`, server.first, pool);
    await dropStatistics(client);
    await printShapes(`${count(TASKS)}, no statistics`, server.first, pool);
    await client.query('ANALYZE');
    await printShapes(`${count(TASKS)}, fresh statistics`, server.first, pool);
    await printRegistration(server.first);
    await printCalls(server.first, runId);
    await printSteps(server.first);
    for (const [name, child] of Object.entries({ server, agent })) {
      print(`memory of the ${name}: ${Math.round((await child.usage()).memory / 2 ** 20)} MiB`);
    }
  } finally {
    await client.end();
    await pool.end();
  }
}

async function printShapes(title: string, server: Server, pool: pg.Pool): Promise<void> {
  for (const shape of SHAPES) {
    const rates: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const tookMs = await runAll(server, pool, shape.workflow, shape.runs);
      rates.push((shape.runs * shape.tasks * 1_000) / tookMs);
    }
    const median = rates.sort((a, b) => a - b)[Math.floor(rates.length / 2)] ?? 0;
    print(`${title}: ${shape.title}: ${count(median)} tasks/s`);
  }
}

/** From now on nobody but the benchmark gathers statistics of the large tables. */
async function holdStatistics(client: pg.ClientBase): Promise<void> {
  for (const table of await largeTables(client)) {
    await client.query(`ALTER TABLE ${table} SET (autovacuum_enabled = false)`);
  }
}

async function dropStatistics(client: pg.ClientBase): Promise<void> {
  const tables = await largeTables(client);
  await client.query('DELETE FROM pg_statistic WHERE starelid = ANY($1::regclass[])', [tables]);
  await client.query(
    'UPDATE pg_class SET relpages = 0, reltuples = -1 WHERE oid = ANY($1::regclass[])',
    [tables],
  );
}

async function largeTables(client: pg.ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'signalbox' AND c.relkind = 'r' AND (c.relname = ANY($1) OR c.relispartition)`,
    [TABLES],
  );
  return rows.map(({ name }) => name);
}

/** Registers many workflows with a schedule that is far away: new, and again. */
async function printRegistration({ url, agentToken }: Server): Promise<void> {
  const many = Array.from({ length: WORKFLOWS }, (_, index) =>
    workflow(`many-${index}`, { schedule: '0 3 1 1 *' }, (w) => {
      w.task('load', { after: [w.task('extract', {}, async () => null)] }, async () => null);
    }),
  );
  const { definitions } = definitionsOf(many);
  const transport = httpTransport({ url, token: agentToken });
  for (const title of ['new', 'known']) {
    const startedAt = performance.now();
    const { sessionId } = await transport.register({
      ...{ name: 'bench-many', queues: ['nobody'], concurrency: 1, version: '1' },
      ...{ definitions, fileErrors: [] },
    });
    const took = seconds(performance.now() - startedAt);
    print(`registering ${count(WORKFLOWS)} ${title} workflows with schedules: ${took}`);
    await transport.stop(sessionId);
  }
}

async function printCalls(server: Server, runId: string): Promise<void> {
  const calls = {
    'the newest 100 runs': '/api/v1/runs',
    '100 failed runs': '/api/v1/runs?state=failed',
    '100 runs of a workflow': '/api/v1/runs?workflow=stored-7',
    'one run': `/api/v1/runs/${runId}`,
    'the tasks of a run': `/api/v1/runs/${runId}/tasks`,
    [`100 of ${count(WORKFLOWS)} workflows, one of 10,000 tasks among them`]: '/api/v1/workflows',
    [`1,000 of ${count(WORKFLOWS)} workflows, the same`]: '/api/v1/workflows?limit=1000',
  };
  for (const [title, path] of Object.entries(calls)) {
    const tookMs: number[] = [];
    for (let done = 0; done < CALLS; done += 1) {
      const startedAt = performance.now();
      await call(server, path);
      tookMs.push(performance.now() - startedAt);
    }
    print(`${title}: ${quantiles(tookMs)}`);
  }
}

const WATCHED_MS = 5_000;

/** What background steps take with that many schedules, and how late the server's event loop is. */
async function printSteps(server: Server): Promise<void> {
  const before = await call(server, '/metrics');
  await delay(WATCHED_MS);
  const after = await call(server, '/metrics');
  const value = (text: string, name: string) => {
    const line = text.split('\n').find((one) => one.startsWith(`${name} `));
    return Number(line?.slice(name.length + 1) ?? Number.NaN);
  };
  const grown = (name: string) => value(after, name) - value(before, name);
  const series = (suffix: string) =>
    `signalbox_reconciler_duration_seconds_${suffix}{step="scheduler"}`;
  const eachMs = (grown(series('sum')) * 1_000) / grown(series('count'));
  print(`a look of the scheduler at ${count(WORKFLOWS)} schedules: ${eachMs.toFixed(2)} ms`);
  const lagMs = value(after, 'signalbox_nodejs_eventloop_lag_p99_seconds') * 1_000;
  print(`event loop of the server: p99 ${lagMs.toFixed(1)} ms`);
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function print(line: string): void {
  console.log(`scale: ${line}`);
}
