/**
 * Durable no-op tasks a second from end to end: the real server and the real agent, each a process of its own,
 * over HTTP, on an embedded PostgreSQL that syncs every commit. ClickHouse is played by something that takes all and
 * knows nothing: the export of events counts, storing them there does not. Beside it, in the same run, a queue that knows no
 * graph, and the orchestrators that are asked for. Prints figures; judges nothing.
 */
import pg from 'pg';
import { SHAPES, type Shape } from './bench-workflows.ts';
import { benchGraphileWorker } from './graphile.ts';
import { benchPeers } from './peers.ts';
import { type Child, type Postgres, startNothing, startPostgres, type Usage } from './processes.ts';
import { count, mebibytes, median, quantile, type Report } from './report.ts';
import {
  quantiles,
  registered,
  runAll,
  type Server,
  startAgentChild,
  startServerChild,
} from './stand.ts';

export interface ThroughputOptions {
  readonly rounds: number;
  /** Part of the name of the shapes that are measured; all unless told. */
  readonly only: string;
  /** Names of other orchestrators that are measured too. */
  readonly peers: readonly string[];
}

/** Each look reads what is dead of a table that changes all the time: it must not be part of what is measured. */
const LOOK_EVERY_MS = 20;
const LATENCY_RUNS = 100;

/** Measures every shape and prints tasks per second. */
export async function benchThroughput(report: Report, options: ThroughputOptions): Promise<void> {
  await using postgres = await startPostgres();
  await using clickhouse = await startNothing();
  const pool = new pg.Pool({ connectionString: postgres.url, max: 2 });
  try {
    await using server = await startServerChild(postgres, clickhouse);
    await using agent = await startAgentChild(server.first);
    await registered(pool, SHAPES[0]?.workflow ?? '');
    const parts = { server, agent, postgres };
    for (const shape of SHAPES.filter(({ workflow }) => workflow.includes(options.only))) {
      await measureShape(shape, options.rounds, { parts, pool }, report);
    }
    await printLatency(server.first, pool, report);
    for (const [name, child] of Object.entries({ server, agent })) {
      const { memory } = await child.usage();
      report.figure(`memory of the ${name}`, mebibytes(memory), { memoryBytes: memory });
    }
  } finally {
    await pool.end();
  }
  if (options.only === '') await benchGraphileWorker(postgres.url, report);
  await benchPeers(options.peers, postgres.url, report);
}

interface Parts {
  readonly server: Child<Server>;
  readonly agent: Child<unknown>;
  readonly postgres: Postgres;
}

async function measureShape(
  shape: Shape,
  rounds: number,
  { parts, pool }: { parts: Parts; pool: pg.Pool },
  report: Report,
): Promise<void> {
  const { server } = parts;
  const rates: number[] = [];
  const before = await spentBy(parts);
  for (let round = 0; round < rounds; round += 1) {
    report.progress(shape.title, round, rounds);
    const tookMs = await runAll(server.first, pool, shape.workflow, shape.runs, LOOK_EVERY_MS);
    await noneFailed(pool);
    rates.push((shape.runs * shape.tasks * 1_000) / tookMs);
  }
  const after = await spentBy(parts);
  const tasks = rounds * shape.runs * shape.tasks;
  const each = (name: keyof Spent) => Math.round(((after[name] - before[name]) * 1e6) / tasks);
  const spent = { serverUs: each('server'), agentUs: each('agent'), postgresUs: each('postgres') };
  const unit = shape.tasks === 1 ? 'runs/s' : 'tasks/s';
  report.figure(
    shape.title,
    `${count(median(rates))} ${unit} (rounds: ${rates.map(count).join(', ')}); µs of processor each: ` +
      `server ${spent.serverUs}, agent ${spent.agentUs}, postgres ${spent.postgresUs}`,
    { perSecond: median(rates), unit, ...spent },
  );
}

async function noneFailed(pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query<{ failed: number }>(
    `SELECT count(*)::int AS failed FROM signalbox.run WHERE state <> 'succeeded'`,
  );
  if (rows[0]?.failed !== 0) throw new Error(`${rows[0]?.failed} runs did not succeed`);
}

/** Runs one at a time: from a trigger to its task's start, and from a task's end to its dependent's start. */
async function printLatency(server: Server, pool: pg.Pool, report: Report): Promise<void> {
  for (let run = 0; run < LATENCY_RUNS; run += 1) {
    report.progress('one run at a time', run, LATENCY_RUNS);
    await runAll(server, pool, 'bench-chain', 1, LOOK_EVERY_MS);
  }
  const { rows } = await pool.query<{ kind: string; ms: number[] }>(
    `WITH newest AS (
       SELECT id, created_at FROM signalbox.run WHERE workflow = 'bench-chain' ORDER BY id DESC LIMIT ${LATENCY_RUNS}
     ), steps AS (
       SELECT CASE WHEN l.task = 0 THEN 'trigger to start' ELSE 'task to dependent task' END AS kind,
              (extract(epoch FROM l.started_at - coalesce(
                lag(l.finished_at) OVER (PARTITION BY l.run_id ORDER BY l.task), n.created_at)) * 1000)::float8 AS ms
       FROM signalbox.task_log l JOIN newest n ON n.id = l.run_id)
     SELECT kind, array_agg(ms) AS ms FROM steps GROUP BY kind ORDER BY kind`,
  );
  for (const { kind, ms } of rows) {
    report.figure(kind, quantiles(ms), { p50Ms: quantile(ms, 0.5), p99Ms: quantile(ms, 0.99) });
  }
}

/** Seconds of processor time; they hold also on a machine that does other things beside. */
interface Spent {
  readonly server: number;
  readonly agent: number;
  readonly postgres: number;
}

async function spentBy({ server, agent, postgres }: Parts): Promise<Spent> {
  return {
    server: secondsOf(await server.usage()),
    agent: secondsOf(await agent.usage()),
    postgres: await postgres.cpuSeconds(),
  };
}

function secondsOf({ cpu }: Usage): number {
  return (cpu.user + cpu.system) / 1e6;
}
