/**
 * What growth costs: the shapes of `throughput` on an empty database and on one with millions of ended tasks, with
 * statistics that are fresh, that are from when the tables were empty, and with none; what is dead in the hot tables
 * then; how long it takes to register thousands of workflows, to look at their schedules and to read lists; and what
 * heartbeats of thousands of agents cost. Prints figures; judges nothing.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { definitionsOf } from '../orchestrator/define/registry.ts';
import { workflow } from '../orchestrator/index.ts';
import { SHAPES } from './bench-workflows.ts';
import { printMemory, printTables, ratesOf, registerAll } from './figures.ts';
import { fillHistory, makeRanges } from './fill.ts';
import { benchHeartbeats } from './heartbeats.ts';
import { type Postgres, startNothing, startPostgres } from './processes.ts';
import { count, median, quantiles, quantileValues, type Report } from './report.ts';
import {
  call,
  registered,
  runAll,
  type Server,
  startAgentChild,
  startServerChild,
} from './stand.ts';
import { dropStatistics, holdStatistics, releaseStatistics } from './statistics.ts';

export interface ScaleOptions {
  readonly rounds: number;
  /** Ended tasks that are stored. */
  readonly tasks: number;
  readonly workflows: number;
  readonly agents: number;
}

const CALLS = 100;
const HOT_TABLES = ['run_live', 'task_live', 'task_log', 'event_batch', 'run', 'agent_session'];

/** Measures before and after, and prints. */
export async function benchScale(report: Report, options: ScaleOptions): Promise<void> {
  const { rounds, tasks, workflows } = options;
  await using postgres = await startPostgres();
  await using clickhouse = await startNothing();
  const pool = new pg.Pool({ connectionString: postgres.url, max: 2 });
  const client = new pg.Client({ connectionString: postgres.url });
  await using server = await startServerChild(postgres, clickhouse);
  try {
    await client.connect();
    await makeRanges(client);
    await using agent = await startAgentChild(server.first);
    await registered(pool, 'bench-chain');
    const round = { rounds, server: server.first, pool, postgres };
    const shapes = (title: string) => printShapes({ ...round, title }, report);
    // Code that is cold would count against the empty database.
    for (const shape of SHAPES) await runAll(server.first, pool, shape.workflow, shape.runs);
    const empty = await shapes('empty');
    await holdStatistics(client);
    await client.query('ANALYZE');
    const startedAt = performance.now();
    await fillHistory(client, tasks, await versionOf(client, 'bench-chain'), (done, total) =>
      report.progress('ended tasks', done, total),
    );
    report.note(`${count(tasks)} ended tasks stored in ${seconds(performance.now() - startedAt)}`);
    const compare = async (title: string) => printShares(title, empty, await shapes(title), report);
    await compare(`${count(tasks)} tasks, statistics of empty tables`);
    await dropStatistics(client);
    await compare(`${count(tasks)} tasks, no statistics`);
    await client.query('ANALYZE');
    await releaseStatistics(client);
    await compare(`${count(tasks)} tasks, fresh statistics`);
    await printTables(client, HOT_TABLES, report);
    await printRegistration(server.first, workflows, report);
    await printCalls(server.first, { client, workflows }, report);
    await printSteps(server.first, workflows, report);
    await printMemory({ server, agent }, report);
    if (options.agents > 0) await benchHeartbeats(report, { ...options, server, postgres });
  } finally {
    await client.end();
    await pool.end();
  }
}

async function versionOf(client: pg.ClientBase, name: string): Promise<string> {
  const { rows } = await client.query<{ id: string }>(
    'SELECT version_id AS id FROM signalbox.workflow WHERE name = $1',
    [name],
  );
  return rows[0]?.id ?? '';
}

interface Round {
  readonly title: string;
  readonly rounds: number;
  readonly server: Server;
  readonly pool: pg.Pool;
  readonly postgres: Postgres;
}

interface Cost {
  readonly tasksPerSecond: number;
  /** Processor time of PostgreSQL a task; it holds also on a machine that does other things beside. */
  readonly postgresUs: number;
}

/** @returns what each shape costs */
async function printShapes(
  { title, rounds, server, pool, postgres }: Round,
  report: Report,
): Promise<ReadonlyMap<string, Cost>> {
  const found = new Map<string, Cost>();
  for (const shape of SHAPES) {
    const before = await postgres.cpuSeconds();
    const measured = { title: `${title}: ${shape.title}`, rounds, server, pool };
    const rates = await ratesOf(shape, measured, report);
    const spent = (await postgres.cpuSeconds()) - before;
    const postgresUs = (spent * 1e6) / (rounds * shape.runs * shape.tasks);
    const cost = { tasksPerSecond: median(rates), postgresUs };
    found.set(shape.title, cost);
    report.figure(
      measured.title,
      `${count(cost.tasksPerSecond)} tasks/s (rounds: ${rates.map(count).join(', ')}), ` +
        `PostgreSQL ${count(postgresUs)} µs each`,
      cost,
    );
  }
  return found;
}

function printShares(
  title: string,
  empty: ReadonlyMap<string, Cost>,
  now: ReadonlyMap<string, Cost>,
  report: Report,
): void {
  const percent = (share: number) => `${Math.round(share * 100)} %`;
  for (const [shape, { tasksPerSecond, postgresUs }] of now) {
    const before = empty.get(shape) ?? { tasksPerSecond, postgresUs };
    const shares = {
      rateShare: tasksPerSecond / before.tasksPerSecond,
      postgresShare: postgresUs / before.postgresUs,
    };
    report.figure(
      `${title}, of what it was empty: ${shape}`,
      `tasks/s ${percent(shares.rateShare)}, work of PostgreSQL a task ${percent(shares.postgresShare)}`,
      shares,
    );
  }
}

/** Registers many workflows with a schedule that is far away: new, and again. */
async function printRegistration(server: Server, workflows: number, report: Report): Promise<void> {
  const many = Array.from({ length: workflows }, (_, index) =>
    workflow(`many-${index}`, { schedule: '0 3 1 1 *' }, (w) => {
      w.task('load', { after: [w.task('extract', {}, async () => null)] }, async () => null);
    }),
  );
  const definitions = definitionsOf(many);
  for (const title of ['new', 'known']) {
    const tookMs = await registerAll(server, definitions);
    report.figure(
      `registering ${count(workflows)} ${title} workflows with schedules`,
      seconds(tookMs),
      { tookMs },
    );
  }
}

async function printCalls(
  server: Server,
  { client, workflows }: { client: pg.ClientBase; workflows: number },
  report: Report,
): Promise<void> {
  const { rows } = await client.query<{ id: string }>(
    `SELECT id FROM signalbox.run WHERE workflow = 'stored-7' ORDER BY id LIMIT 1`,
  );
  const runId = rows[0]?.id ?? '';
  const calls = {
    'the newest 100 runs': '/api/v1/runs',
    '100 failed runs': '/api/v1/runs?state=failed',
    '100 runs of a workflow': '/api/v1/runs?workflow=stored-7',
    'one run': `/api/v1/runs/${runId}`,
    'the tasks of a run': `/api/v1/runs/${runId}/tasks`,
    [`100 of ${count(workflows)} workflows, one of 10,000 tasks among them`]: '/api/v1/workflows',
    [`1,000 of ${count(workflows)} workflows, the same`]: '/api/v1/workflows?limit=1000',
  };
  for (const [title, path] of Object.entries(calls)) {
    const tookMs: number[] = [];
    for (let done = 0; done < CALLS; done += 1) {
      const startedAt = performance.now();
      await call(server, path);
      tookMs.push(performance.now() - startedAt);
    }
    report.figure(title, quantiles(tookMs), quantileValues(tookMs));
  }
}

const WATCHED_MS = 5_000;

/** What background steps take with that many schedules, and how late the server's event loop is. */
async function printSteps(server: Server, workflows: number, report: Report): Promise<void> {
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
  report.figure(
    `a look of the scheduler at ${count(workflows)} schedules`,
    `${eachMs.toFixed(2)} ms`,
    {
      tookMs: eachMs,
    },
  );
  const lagMs = value(after, 'signalbox_nodejs_eventloop_lag_p99_seconds') * 1_000;
  report.figure('event loop of the server', `late by ${lagMs.toFixed(1)} ms, p99`, {
    p99Ms: lagMs,
  });
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
