/** The peer: graphile-worker, a queue on PostgreSQL that knows no graph; plain, and in its batched preset. */
import { setTimeout as delay } from 'node:timers/promises';
import { Logger, makeWorkerUtils, type RunnerOptions, run } from 'graphile-worker';
import pg from 'pg';
import { count, type Report } from './report.ts';

const JOBS = 20_000;
const JOBS_A_CALL = 5_000;

const PLAIN: RunnerOptions['preset'] = {
  worker: { concurrentJobs: 24, maxPoolSize: 10, pollInterval: 100 },
};
const BATCHED: RunnerOptions['preset'] = {
  worker: {
    ...{ concurrentJobs: 24, maxPoolSize: 10, pollInterval: 100 },
    localQueue: { size: 500, refetchDelay: { durationMs: 10 } },
    ...{ completeJobBatchDelay: 0, failJobBatchDelay: 0 },
  },
};

/** Prints jobs per second of both. */
export async function benchGraphileWorker(url: string, report: Report): Promise<void> {
  const logger = new Logger(() => () => undefined);
  const pool = new pg.Pool({ connectionString: url, max: 12 });
  pool.on('error', () => undefined);
  const utils = await makeWorkerUtils({ pgPool: pool, logger });
  await utils.migrate();
  for (const [name, preset] of Object.entries({ plain: PLAIN, batched: BATCHED })) {
    for (let sent = 0; sent < JOBS; sent += JOBS_A_CALL) {
      await pool.query(
        `SELECT graphile_worker.add_jobs((
           SELECT array_agg(ROW('idle', '{}'::json, NULL, NULL, 1, NULL, NULL, NULL)::graphile_worker.job_spec)
           FROM generate_series(1, $1)))`,
        [JOBS_A_CALL],
      );
    }
    const startedAt = performance.now();
    const runner = await run({
      ...{ pgPool: pool, logger, noHandleSignals: true },
      ...(preset ? { preset } : {}),
      taskList: { idle: async () => undefined },
    });
    while (true) {
      const { rows } = await pool.query('SELECT FROM graphile_worker._private_jobs LIMIT 1');
      if (rows.length === 0) break;
      await delay(5);
    }
    const seconds = (performance.now() - startedAt) / 1_000;
    await runner.stop();
    report.figure(
      `graphile-worker, ${name}, ${count(JOBS)} jobs`,
      `${count(JOBS / seconds)} jobs/s`,
      { jobsPerSecond: JOBS / seconds },
    );
  }
  await utils.release();
  await pool.end();
}
