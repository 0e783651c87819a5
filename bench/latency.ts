/**
 * How soon work begins at low load: from a trigger to the start of its task, and from a task's end to the start of
 * the one that depends on it. With one agent and with two, and beside it, in the same run and on the same
 * PostgreSQL, graphile-worker and pg-boss: each with a job, and with a job that adds the next. Tasks also go to and fro
 * between two agents that serve a queue each. Prints figures; judges nothing.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Logger, makeWorkerUtils, run as runWorker } from 'graphile-worker';
import pg from 'pg';
import { PgBoss } from 'pg-boss';
import { OTHER_QUEUE, TWO_QUEUES } from './bench-workflows.ts';
import { startsOf } from './figures.ts';
import { startNothing, startPostgres } from './processes.ts';
import { quantiles, quantileValues, type Report } from './report.ts';
import {
  agentsLive,
  registered,
  runAll,
  type Server,
  startAgentChild,
  startServerChild,
} from './stand.ts';

const BETWEEN_MS = 20;

/** Measures all of them, one after the other. */
export async function benchLatency(report: Report, { runs }: { runs: number }): Promise<void> {
  await using postgres = await startPostgres();
  await using clickhouse = await startNothing();
  const pool = new pg.Pool({ connectionString: postgres.url, max: 2 });
  const chains = (title: string, workflow: string) =>
    printRuns({ title, workflow, runs }, server.first, pool, report);
  await using server = await startServerChild(postgres, clickhouse);
  try {
    await using _first = await startAgentChild(server.first);
    await registered(pool, 'bench-chain');
    await agentsLive(pool, 1);
    await chains('one agent', 'bench-chain');
    {
      await using _second = await startAgentChild(server.first);
      await agentsLive(pool, 2);
      await chains('two agents', 'bench-chain');
    }
    await using _other = await startAgentChild(server.first, [OTHER_QUEUE]);
    await agentsLive(pool, 1, OTHER_QUEUE);
    await chains('two agents, each task on the other one', TWO_QUEUES);
  } finally {
    await pool.end();
  }
  await printJobs('graphile-worker', runs, (work) => withGraphile(postgres.url, work), report);
  await printJobs('pg-boss', runs, (work) => withBoss(postgres.url, work), report);
}

interface Chains {
  readonly title: string;
  readonly workflow: string;
  readonly runs: number;
}

async function printRuns(
  { title, workflow, runs }: Chains,
  server: Server,
  pool: pg.Pool,
  report: Report,
): Promise<void> {
  await runAll(server, pool, workflow, 1);
  for (let done = 0; done < runs; done += 1) {
    report.progress(title, done, runs);
    await delay(BETWEEN_MS);
    await runAll(server, pool, workflow, 1);
  }
  const { firstMs, dependentMs } = await startsOf(pool, workflow, runs);
  print(report, `Signalbox, ${title}: trigger to start`, firstMs);
  print(report, `Signalbox, ${title}: task to dependent`, dependentMs);
}

/** A queue with one job, which may add the next. */
interface Queue {
  /** Adds a job; `onStart` of the queue is told when it begins. */
  add(): Promise<void>;
}
type WithQueue = (
  work: (queue: Queue, onStart: (told: () => Promise<void>) => void) => Promise<void>,
) => Promise<void>;

async function printJobs(
  name: string,
  runs: number,
  within: WithQueue,
  report: Report,
): Promise<void> {
  await within(async (queue, onStart) => {
    const started: number[] = [];
    const next: number[] = [];
    for (let done = 0; done <= runs; done += 1) {
      report.progress(name, done, runs);
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
    print(report, `${name}: added to start`, started);
    print(report, `${name}: job to the job that it adds`, next);
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

function print(report: Report, title: string, tookMs: readonly number[]): void {
  report.figure(title, quantiles(tookMs), quantileValues(tookMs));
}
