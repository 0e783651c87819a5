/**
 * Durable no-op tasks a second from end to end: the real server and the real agent, each a process of its own,
 * over HTTP, on an embedded PostgreSQL that syncs every commit. ClickHouse is played by something that takes all and
 * knows nothing: the export of events counts, storing them there does not. Beside it, in the same run, a queue that knows no
 * graph. Prints figures; judges nothing.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { SHAPES, type Shape } from './bench-workflows.ts';
import { benchGraphileWorker } from './graphile.ts';
import { startChild, startNothing, startPostgres } from './processes.ts';

interface Server {
  readonly url: string;
  readonly token: string;
  readonly agentToken: string;
}

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3);
/** Part of the name of the shapes that are measured; all unless told. */
const ONLY = process.env['BENCH_ONLY'] ?? '';
/** Each look reads what is dead of a table that changes all the time: it must not be part of what is measured. */
const LOOK_EVERY_MS = 20;
const LATENCY_RUNS = 100;

/** Measures every shape and prints tasks per second. */
export async function benchThroughput(): Promise<void> {
  await using postgres = await startPostgres();
  await using clickhouse = await startNothing();
  const pool = new pg.Pool({ connectionString: postgres.url, max: 2 });
  try {
    await using server = await startChild<Server>(new URL('./bench-server.ts', import.meta.url), [
      postgres.url,
      postgres.directory,
      clickhouse.url,
    ]);
    const { url, agentToken } = server.first;
    await using agent = await startChild(new URL('./bench-agent.ts', import.meta.url), [
      ...[url, agentToken, '1000'],
    ]);
    await registered(pool);
    const spent = async () => ({
      server: secondsOf(await server.usage()),
      agent: secondsOf(await agent.usage()),
      postgres: await postgres.cpuSeconds(),
    });
    for (const shape of SHAPES.filter(({ workflow }) => workflow.includes(ONLY))) {
      const rates: number[] = [];
      const before = await spent();
      for (let round = 0; round < ROUNDS; round += 1) {
        rates.push(await measure(shape, server.first, pool));
      }
      print(shape.title, median(rates), rates, shape.tasks === 1 ? 'runs/s' : 'tasks/s');
      printSpent(before, await spent(), ROUNDS * shape.runs * shape.tasks);
    }
    await printLatency(server.first, pool);
    for (const [name, child] of Object.entries({ server, agent })) {
      const { memory } = await child.usage();
      console.log(`throughput: memory of the ${name}: ${Math.round(memory / 2 ** 20)} MiB`);
    }
  } finally {
    await pool.end();
  }
  if (ONLY === '') await benchGraphileWorker(postgres.url);
}

async function registered(pool: pg.Pool): Promise<void> {
  while (true) {
    const { rows } = await pool.query('SELECT FROM signalbox.workflow WHERE name = $1', [
      SHAPES[0]?.workflow,
    ]);
    if (rows.length > 0) return;
    await delay(50);
  }
}

/** Triggers all runs of a shape in one call and waits until the last has ended. @returns tasks (or runs) a second */
async function measure(shape: Shape, server: Server, pool: pg.Pool): Promise<number> {
  const startedAt = performance.now();
  await trigger(server, shape.workflow, shape.runs);
  while (true) {
    const { rows } = await pool.query('SELECT FROM signalbox.run_live LIMIT 1');
    if (rows.length === 0) break;
    await delay(LOOK_EVERY_MS);
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  const { rows } = await pool.query<{ failed: number }>(
    `SELECT count(*)::int AS failed FROM signalbox.run WHERE state <> 'succeeded'`,
  );
  if (rows[0]?.failed !== 0) throw new Error(`${rows[0]?.failed} runs did not succeed`);
  return (shape.runs * shape.tasks) / seconds;
}

async function trigger(server: Server, workflow: string, runs: number): Promise<void> {
  const response = await fetch(`${server.url}/api/v1/workflows/${workflow}/runs/batch`, {
    method: 'POST',
    headers: { authorization: `Bearer ${server.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ runs: Array.from({ length: runs }, () => ({})) }),
  });
  if (!response.ok) throw new Error(await response.text());
  await response.arrayBuffer();
}

/** Runs one at a time: from a trigger to its task's start, and from a task's end to its dependent's start. */
async function printLatency(server: Server, pool: pg.Pool): Promise<void> {
  for (let run = 0; run < LATENCY_RUNS; run += 1) {
    await measure({ workflow: 'bench-chain', title: '', runs: 1, tasks: 10 }, server, pool);
  }
  const { rows } = await pool.query<{ kind: string; p50: number; p99: number }>(
    `WITH newest AS (
       SELECT id, created_at FROM signalbox.run WHERE workflow = 'bench-chain' ORDER BY id DESC LIMIT ${LATENCY_RUNS}
     ), steps AS (
       SELECT CASE WHEN l.task = 0 THEN 'trigger to start' ELSE 'task to dependent task' END AS kind,
              extract(epoch FROM l.started_at - coalesce(
                lag(l.finished_at) OVER (PARTITION BY l.run_id ORDER BY l.task), n.created_at)) * 1000 AS ms
       FROM signalbox.task_log l JOIN newest n ON n.id = l.run_id)
     SELECT kind, percentile_cont(0.5) WITHIN GROUP (ORDER BY ms)::float8 AS p50,
            percentile_cont(0.99) WITHIN GROUP (ORDER BY ms)::float8 AS p99
     FROM steps GROUP BY kind ORDER BY kind`,
  );
  for (const { kind, p50, p99 } of rows) {
    console.log(`throughput: ${kind}: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`);
  }
}

interface Spent {
  readonly server: number;
  readonly agent: number;
  readonly postgres: number;
}

function secondsOf({ cpu }: { cpu: NodeJS.CpuUsage }): number {
  return (cpu.user + cpu.system) / 1e6;
}

/** Where the time goes; it holds also on a machine that does other things beside. */
function printSpent(before: Spent, after: Spent, tasks: number): void {
  const each = (name: keyof Spent) =>
    `${name} ${(((after[name] - before[name]) * 1e6) / tasks).toFixed(0)}`;
  console.log(
    `throughput:   µs of processor a task: ${each('server')}, ${each('agent')}, ${each('postgres')}`,
  );
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function print(title: string, rate: number, all: readonly number[], unit: string): void {
  const each = all.map((value) => Math.round(value).toLocaleString('en')).join(', ');
  console.log(
    `throughput: ${title}: ${Math.round(rate).toLocaleString('en')} ${unit} (rounds: ${each})`,
  );
}
