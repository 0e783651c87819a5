/**
 * How long each route that reads takes over real HTTP, with a long history behind it: a million runs of ten tasks,
 * 15,000 workflows, 2,000 assets with lineage. With statistics of empty tables, with none and with fresh ones; then
 * while viewers look on and tasks run. Prints figures; judges nothing, but marks what is slower than it should be.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { Client } from 'undici';
import { fillAll, readSamples, registerMany, type Sizes } from './api-fill.ts';
import { type Call, type OpenApi, planCalls, type Timing, timeCall } from './api-routes.ts';
import { printMemory } from './figures.ts';
import { makeRanges } from './fill.ts';
import { startLoad } from './load.ts';
import { startClickHouse, startPostgres } from './processes.ts';
import { count, quantile, type Report } from './report.ts';
import { call, registered, type Server, startAgentChild, startServerChild } from './stand.ts';
import { dropStatistics, holdStatistics, releaseStatistics } from './statistics.ts';

export interface ApiOptions extends Sizes {
  readonly calls: number;
  readonly viewers: number;
  readonly rate: number;
  readonly only: string;
}

const P50_MS = 5;
const P95_MS = 20;
/** Of the passes that only look for plans that a lack of statistics makes bad. */
const QUICK_CALLS = 15;
const SETTLE_MS = 2_000;

export async function benchApi(report: Report, options: ApiOptions): Promise<void> {
  await using postgres = await startPostgres();
  await using clickhouse = await startClickHouse();
  await using server = await startServerChild(postgres, clickhouse);
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  const pool = new pg.Pool({ connectionString: postgres.url, max: 1 });
  try {
    await makeRanges(client);
    await using agent = await startAgentChild(server.first);
    await registered(pool, 'bench-chain');
    await holdStatistics(client);
    await client.query('ANALYZE');
    report.progress('definitions', 0, 1);
    const startedAt = performance.now();
    const tookMs = await registerMany(server.first, options);
    report.figure(
      `registering ${count(options.workflows)} workflows of ten tasks and ${count(options.assets)} assets`,
      `${(tookMs / 1_000).toFixed(1)} s`,
      { tookMs },
    );
    await fillAll(postgres.url, clickhouse, options, report);
    const filled = (performance.now() - startedAt) / 1_000;
    report.note(
      `${count(options.runs)} runs of ten tasks stored; filled in ${filled.toFixed(0)} s`,
    );
    const { get, calls } = await prepare(server.first, postgres.url, options, report);
    const pass = (title: string, turns: number) =>
      measure(title, { server: server.first, calls, turns }, report);
    await pass('statistics of empty tables', QUICK_CALLS);
    await dropStatistics(client);
    await pass('no statistics', QUICK_CALLS);
    await client.query('VACUUM ANALYZE');
    await releaseStatistics(client);
    await pass('alone', options.calls);
    const load = await startLoad(server.first, { viewers: options.viewers, rate: options.rate });
    await delay(SETTLE_MS);
    await pass(`with ${options.viewers} viewers and ${count(options.rate)} tasks/s`, options.calls);
    const { told, tasksPerSecond } = await load.stop();
    report.figure(
      'meanwhile',
      `${count(tasksPerSecond)} tasks/s, ${count(told)} changes told to viewers`,
      {
        tasksPerSecond,
        changesTold: told,
      },
    );
    await get('/api/v1/runs');
    await printMemory({ server, agent }, report);
  } finally {
    await client.end();
    await pool.end();
  }
}

async function prepare(server: Server, databaseUrl: string, options: ApiOptions, report: Report) {
  const get = async (path: string): Promise<unknown> => JSON.parse(await call(server, path));
  const document = (await get('/api/openapi.json')) as OpenApi;
  const plan = await planCalls(document, await readSamples(databaseUrl, options), get);
  for (const line of plan.left) report.note(`not measured: ${line}`);
  return { get, calls: plan.calls.filter(({ title }) => title.includes(options.only)) };
}

interface Pass {
  readonly server: Server;
  readonly calls: readonly Call[];
  readonly turns: number;
}

async function measure(
  title: string,
  { server, calls, turns }: Pass,
  report: Report,
): Promise<void> {
  const client = new Client(server.url, {
    pipelining: 1,
    bodyTimeout: 120_000,
    headersTimeout: 120_000,
  });
  const headers = { authorization: `Bearer ${server.token}` };
  const timings: Timing[] = [];
  try {
    for (const [index, one] of calls.entries()) {
      report.progress(`${title}: ${one.title}`, index, calls.length);
      timings.push(await timeCall(client, headers, one, turns));
    }
  } finally {
    await client.close();
  }
  const isQuick = turns <= QUICK_CALLS;
  for (const timing of timings) if (!isQuick || isSlow(timing)) print(title, timing, report);
  const slow = timings.filter(isSlow).length;
  const all = timings.flatMap(({ tookMs }) => tookMs);
  report.figure(
    `${title}: all ${timings.length} calls`,
    `${spread(all)}; ${slow === 0 ? 'none' : slow} over ${P50_MS} ms (p50) or ${P95_MS} ms (p95)`,
    { ...quantilesOf(all), calls: timings.length, slow },
  );
}

function isSlow({ tookMs, status }: Timing): boolean {
  return quantile(tookMs, 0.5) > P50_MS || quantile(tookMs, 0.95) > P95_MS || status >= 400;
}

function print(pass: string, timing: Timing, report: Report): void {
  const { title, tookMs, bytes, status } = timing;
  const remark = status >= 400 ? `, answers ${status}` : isSlow(timing) ? ', SLOW' : '';
  report.figure(`${pass}: ${title}`, `${spread(tookMs)}, ${count(bytes)} bytes${remark}`, {
    ...quantilesOf(tookMs),
    bytes,
    status,
  });
}

function quantilesOf(tookMs: readonly number[]) {
  return {
    p50Ms: quantile(tookMs, 0.5),
    p95Ms: quantile(tookMs, 0.95),
    p99Ms: quantile(tookMs, 0.99),
    leastMs: quantile(tookMs, 0),
  };
}

function spread(tookMs: readonly number[]): string {
  const { p50Ms, p95Ms, p99Ms, leastMs } = quantilesOf(tookMs);
  const [p50, p95, p99, least] = [p50Ms, p95Ms, p99Ms, leastMs].map((ms) => ms.toFixed(1));
  return `p50 ${p50}, p95 ${p95}, p99 ${p99} ms (least ${least})`;
}
