/**
 * Durable no-op tasks a second from end to end: the real server and the real agent, each a process of its own,
 * over HTTP, on an embedded PostgreSQL that syncs every commit. ClickHouse is played by something that takes all and
 * knows nothing: the export of events counts, storing them there does not. Beside it, in the same run, a queue that knows no
 * graph, and the orchestrators that are asked for. Prints figures; judges nothing.
 */
import pg from 'pg';
import { SHAPES, type Shape } from './bench-workflows.ts';
import { printMemory, ratesOf, startsOf } from './figures.ts';
import { benchGraphileWorker } from './graphile.ts';
import { benchPeers } from './peers.ts';
import { type Child, type Postgres, startNothing, startPostgres } from './processes.ts';
import { count, median, quantiles, quantileValues, type Report } from './report.ts';
import { registered, runAll, type Server, startAgentChild, startServerChild } from './stand.ts';

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
    await printMemory({ server, agent }, report);
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
  const { title } = shape;
  const server = parts.server.first;
  const before = await spentBy(parts);
  const afterEach = () => noneFailed(pool);
  const measured = { title, rounds, server, pool, lookEveryMs: LOOK_EVERY_MS, afterEach };
  const rates = await ratesOf(shape, measured, report);
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
  const { firstMs, dependentMs } = await startsOf(pool, 'bench-chain', LATENCY_RUNS);
  report.figure('task to dependent task', quantiles(dependentMs), quantileValues(dependentMs));
  report.figure('trigger to start', quantiles(firstMs), quantileValues(firstMs));
}

/** Seconds of processor time; they hold also on a machine that does other things beside. */
interface Spent {
  readonly server: number;
  readonly agent: number;
  readonly postgres: number;
}

async function spentBy({ server, agent, postgres }: Parts): Promise<Spent> {
  return {
    server: (await server.usage()).cpuSeconds,
    agent: (await agent.usage()).cpuSeconds,
    postgres: await postgres.cpuSeconds(),
  };
}
