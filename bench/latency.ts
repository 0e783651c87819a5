/**
 * How soon work begins at low load: from a trigger to the start of its task, and from a task's end to the start of
 * the one that depends on it. With one agent and with two, and beside it, in the same run and on the same
 * PostgreSQL, graphile-worker and pg-boss: each with a job, and with a job that adds the next. Prints figures;
 * judges nothing. BENCH_RUNS is the number of runs.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Logger, makeWorkerUtils, run as runWorker } from 'graphile-worker';
import pg from 'pg';
import { PgBoss } from 'pg-boss';
import { startNothing, startPostgres } from './processes.ts';
import {
  agentsLive,
  quantiles,
  registered,
  runAll,
  type Server,
  startAgentChild,
  startServerChild,
} from './stand.ts';

const RUNS = Number(process.env['BENCH_RUNS'] ?? 100);
const BETWEEN_MS = 20;

/** Measures all of them, one after the other. */
export async function benchLatency(): Promise<void> {
  await using postgres = await startPostgres();
  await using clickhouse = await startNothing();
  const pool = new pg.Pool({ connectionString: postgres.url, max: 2 });
  try {
    await using server = await startServerChild(postgres, clickhouse.url);
    await using _first = await startAgentChild(server.first);
    await registered(pool, 'bench-chain');
    await agentsLive(pool, 1);
    await printRuns('one agent', server.first, pool);
    await using _second = await startAgentChild(server.first);
    await agentsLive(pool, 2);
    await printRuns('two agents', server.first, pool);
  } finally {
    await pool.end();
  }
  await printJobs('graphile-worker', (work) => withGraphile(postgres.url, work));
  await printJobs('pg-boss', (work) => withBoss(postgres.url, work));
}

async function printRuns(title: string, server: Server, pool: pg.Pool): Promise<void> {
  await runAll(server, pool, 'bench-chain', 1);
  for (let done = 0; done < RUNS; done += 1) {
    await delay(BETWEEN_MS);
    await runAll(server, pool, 'bench-chain', 1);
  }
  const { rows } = await pool.query<{ task: number; ms: number }>(
    `WITH newest AS (
       SELECT id, created_at FROM signalbox.run WHERE workflow = 'bench-chain' ORDER BY id DESC LIMIT ${RUNS})
     SELECT l.task, (extract(epoch FROM l.started_at - coalesce(
       lag(l.finished_at) OVER (PARTITION BY l.run_id ORDER BY l.task), n.created_at)) * 1000)::float8 AS ms
     FROM signalbox.task_log l JOIN newest n ON n.id = l.run_id`,
  );
  const of = (isFirst: boolean) =>
    rows.flatMap(({ task, ms }) => ((task === 0) === isFirst ? [ms] : []));
  print(`Signalbox, ${title}: trigger to start: ${quantiles(of(true))}`);
  print(`Signalbox, ${title}: task to dependent: ${quantiles(of(false))}`);
}

/** A queue with one job, which may add the next. */
interface Queue {
  /** Adds a job; `onStart` of the queue is told when it begins. */
  add(): Promise<void>;
}
type WithQueue = (
  work: (queue: Queue, onStart: (told: () => Promise<void>) => void) => Promise<void>,
) => Promise<void>;

async function printJobs(name: string, within: WithQueue): Promise<void> {
  await within(async (queue, onStart) => {
    const started: number[] = [];
    const next: number[] = [];
    for (let done = 0; done <= RUNS; done += 1) {
      await delay(BETWEEN_MS);
      const { promise, resolve } = Promise.withResolvers<void>();
      let endedAt = 0;
      const addedAt = performance.now();
      onStart(async () => {
        const now = performance.now();
        if (endedAt > 0) {
          if (done > 0) next.push(now - endedAt);
          resolve();
          return;
        }
        if (done > 0) started.push(now - addedAt);
        endedAt = performance.now();
        await queue.add();
      });
      await queue.add();
      await promise;
    }
    print(`${name}: added to start: ${quantiles(started)}`);
    print(`${name}: job to the job that it adds: ${quantiles(next)}`);
  });
}

async function withGraphile(url: string, work: Parameters<WithQueue>[0]): Promise<void> {
  const logger = new Logger(() => () => undefined);
  const pool = new pg.Pool({ connectionString: url, max: 12 });
  pool.on('connect', (client) => client.on('error', () => undefined));
  pool.on('error', () => undefined);
  const utils = await makeWorkerUtils({ pgPool: pool, logger });
  await utils.migrate();
  let told: () => Promise<void> = async () => undefined;
  const runner = await runWorker({
    ...{ pgPool: pool, logger, noHandleSignals: true },
    preset: { worker: { concurrentJobs: 4, maxPoolSize: 10, pollInterval: 1_000 } },
    taskList: { next: () => told() },
  });
  await work({ add: async () => void (await utils.addJob('next', {})) }, (onStart) => {
    told = onStart;
  });
  await runner.stop();
  await utils.release();
  await pool.end();
}

async function withBoss(url: string, work: Parameters<WithQueue>[0]): Promise<void> {
  const boss = new PgBoss({ connectionString: url, useListenNotify: true });
  boss.on('error', (error) => console.error(error));
  await boss.start();
  await boss.createQueue('next', { notify: true });
  let told: () => Promise<void> = async () => undefined;
  await boss.work('next', { pollingIntervalSeconds: 0.5 }, () => told());
  await work({ add: async () => void (await boss.send('next', {})) }, (onStart) => {
    told = onStart;
  });
  await boss.stop({ graceful: false });
}

function print(line: string): void {
  console.log(`latency: ${line}`);
}
