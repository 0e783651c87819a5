/**
 * Tasks at one steady rate for minutes, with all that a real instance does beside: every event is copied to the real
 * embedded ClickHouse, tasks are told apart, telemetry is on. Prints the rate that was kept, how far the copy is behind,
 * memory of each process, and what is dead in the hot tables. Judges nothing.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { printTables } from './figures.ts';
import { offerRuns } from './load.ts';
import { startClickHouse, startPostgres } from './processes.ts';
import { count, mebibytes, quantile, type Report } from './report.ts';
import { registered, runAll, startAgentChild, startServerChild } from './stand.ts';

export interface SustainedOptions {
  /** Tasks offered a second. */
  readonly rate: number;
  readonly minutes: number;
}

const LOOK_EVERY_MS = 500;
/** How long what is left may take at the end. */
const REST_LIMIT_MS = 60_000;
const TABLES = ['run_live', 'task_live', 'event_batch', 'run'];

export async function benchSustained(report: Report, options: SustainedOptions): Promise<void> {
  const { rate, minutes } = options;
  await using postgres = await startPostgres();
  await using clickhouse = await startClickHouse();
  await using server = await startServerChild(postgres, clickhouse);
  const pool = new pg.Pool({ connectionString: postgres.url, max: 2 });
  try {
    await using agent = await startAgentChild(server.first);
    await registered(pool, 'bench-chain');
    await runAll(server.first, pool, 'bench-chain', 1_000);
    const spent = async () => ({
      server: (await server.usage()).cpuSeconds,
      agent: (await agent.usage()).cpuSeconds,
      postgres: await postgres.cpuSeconds(),
      clickhouse: await clickhouse.cpuSeconds(),
    });
    const before = { spent: await spent(), snapshot: await snapshotOf(pool) };
    const over = new AbortController();
    const startedAt = performance.now();
    const lags = watchLag(pool, over.signal);
    let sent = 0;
    const offered = offerRuns(server.first, rate, over.signal, (tasks) => {
      sent = tasks;
    });
    const forMs = minutes * 60_000;
    for (let at = 0; at < forMs; at = performance.now() - startedAt) {
      report.progress(`${count(sent)} tasks offered`, at, forMs);
      await delay(Math.min(LOOK_EVERY_MS, Math.max(1, forMs - at)));
    }
    const seconds = (performance.now() - startedAt) / 1_000;
    const after = await snapshotOf(pool);
    const used = await spent();
    over.abort();
    const offeredRate = await offered;
    const ended = await endedBetween(pool, before.snapshot, after);
    report.figure(
      `${count(rate)} tasks/s for ${minutes} minutes`,
      `${count(offeredRate)} offered, ${count(ended / seconds)} ended a second`,
      { offeredPerSecond: offeredRate, endedPerSecond: ended / seconds, seconds },
    );
    printLags(await lags, report);
    const parts = Object.keys(used) as (keyof typeof used)[];
    const cores = parts.map((part) => [part, (used[part] - before.spent[part]) / seconds] as const);
    report.figure('cores', cores.map(([part, share]) => `${part} ${share.toFixed(2)}`).join(', '), {
      ...Object.fromEntries(cores),
    });
    const memory = {
      server: (await server.usage()).memory,
      agent: (await agent.usage()).memory,
      postgres: await postgres.memory(),
      clickhouse: await clickhouse.memory(),
    };
    for (const [name, bytes] of Object.entries(memory)) {
      report.figure(`memory of ${name}`, mebibytes(bytes), { memoryBytes: bytes });
    }
    await printTables(pool, TABLES, report);
    await printRest(pool, report);
  } finally {
    await pool.end();
  }
}

/** Which transactions are over now. */
async function snapshotOf(pool: pg.Pool): Promise<string> {
  const { rows } = await pool.query<{ snapshot: string }>(
    'SELECT pg_current_snapshot()::text AS snapshot',
  );
  return rows[0]?.snapshot ?? '';
}

/** Attempts whose end was committed between the two: counted by the transactions that wrote their rows. */
async function endedBetween(pool: pg.Pool, before: string, after: string): Promise<number> {
  const { rows } = await pool.query<{ n: number }>(
    `SELECT count(*)::float8 AS n FROM (SELECT xmin::text::xid8 AS xid FROM signalbox.task_log) l
     WHERE pg_visible_in_snapshot(xid, $2::pg_snapshot) AND NOT pg_visible_in_snapshot(xid, $1::pg_snapshot)`,
    [before, after],
  );
  return rows[0]?.n ?? 0;
}

/** Age of the oldest event that is not in ClickHouse, in milliseconds; 0 where all are. */
async function lagOf(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ ms: number | null }>(
    `SELECT (extract(epoch FROM clock_timestamp() - min(b.at)) * 1000)::float8 AS ms
     FROM signalbox.event_batch b, signalbox.follower f
     WHERE f.name = 'clickhouse'
       AND (b.xid, b.id) > (split_part(f.watermark, ':', 1)::xid8, split_part(f.watermark, ':', 2)::bigint)`,
  );
  return Math.max(0, rows[0]?.ms ?? 0);
}

async function watchLag(pool: pg.Pool, signal: AbortSignal): Promise<readonly number[]> {
  const lags: number[] = [];
  while (!signal.aborted) {
    lags.push(await lagOf(pool));
    await delay(LOOK_EVERY_MS);
  }
  return lags;
}

function printLags(lags: readonly number[], report: Report): void {
  const values = {
    p50Ms: quantile(lags, 0.5),
    p99Ms: quantile(lags, 0.99),
    maxMs: quantile(lags, 1),
    lastMs: lags.at(-1) ?? 0,
  };
  const [p50, p99, max, last] = Object.values(values).map((ms) => (ms / 1_000).toFixed(2));
  const text = `p50 ${p50} s, p99 ${p99} s, most ${max} s, at the end ${last} s`;
  report.figure('events that are not in ClickHouse yet, age of the oldest', text, values);
}

/** How long it takes until all that was offered has ended and is copied. */
async function printRest(pool: pg.Pool, report: Report): Promise<void> {
  const startedAt = performance.now();
  const tookMs = () => performance.now() - startedAt;
  const left = async () => {
    const { rows } = await pool.query('SELECT FROM signalbox.run_live LIMIT 1');
    return rows.length > 0 || (await lagOf(pool)) > 0;
  };
  while ((await left()) && tookMs() < REST_LIMIT_MS) await delay(LOOK_EVERY_MS);
  const isDone = tookMs() < REST_LIMIT_MS;
  report.figure(
    'then until all has ended and is in ClickHouse',
    isDone ? `${(tookMs() / 1_000).toFixed(1)} s` : `more than ${REST_LIMIT_MS / 1_000} s`,
    { tookMs: tookMs(), isDone },
  );
}
