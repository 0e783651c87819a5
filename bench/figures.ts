/** What several benchmarks measure and print in the same way. */
import type pg from 'pg';
import { httpTransport } from '../orchestrator/agent/http-transport.ts';
import type { definitionsOf } from '../orchestrator/define/registry.ts';
import type { Shape } from './bench-workflows.ts';
import type { Child } from './processes.ts';
import { count, mebibytes, type Report } from './report.ts';
import { runAll, type Server } from './stand.ts';

interface Rounds {
  readonly title: string;
  readonly rounds: number;
  readonly server: Server;
  readonly pool: pg.Pool;
  readonly lookEveryMs?: number;
  /** Called after each round, whose time is over then. */
  afterEach?(): Promise<void>;
}

/** Runs a shape some times. @returns tasks a second of each round */
export async function ratesOf(
  { workflow, runs, tasks }: Shape,
  { title, rounds, server, pool, lookEveryMs, afterEach }: Rounds,
  report: Report,
): Promise<readonly number[]> {
  const rates: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    report.progress(title, round, rounds);
    const tookMs = await runAll(server, pool, workflow, runs, lookEveryMs);
    await afterEach?.();
    rates.push((runs * tasks * 1_000) / tookMs);
  }
  return rates;
}

/** Of the newest runs: from the trigger to the first task's start, and from a task's end to the next one's start. */
export async function startsOf(
  pool: pg.Pool,
  workflow: string,
  runs: number,
): Promise<{ readonly firstMs: readonly number[]; readonly dependentMs: readonly number[] }> {
  const { rows } = await pool.query<{ task: number; ms: number }>(
    `WITH newest AS (
       SELECT id, created_at FROM signalbox.run WHERE workflow = $1 ORDER BY id DESC LIMIT $2)
     SELECT l.task, (extract(epoch FROM l.started_at - coalesce(
       lag(l.finished_at) OVER (PARTITION BY l.run_id ORDER BY l.task), n.created_at)) * 1000)::float8 AS ms
     FROM signalbox.task_log l JOIN newest n ON n.id = l.run_id`,
    [workflow, runs],
  );
  const of = (isFirst: boolean) =>
    rows.flatMap(({ task, ms }) => ((task === 0) === isFirst ? [ms] : []));
  return { firstMs: of(true), dependentMs: of(false) };
}

/** What vacuum has left to do in tables that change all the time, and how large they are, their ranges counted in. */
export async function printTables(
  db: Pick<pg.Pool, 'query'>,
  names: readonly string[],
  report: Report,
): Promise<void> {
  const { rows } = await db.query<{ name: string; live: number; dead: number; bytes: number }>(
    `SELECT coalesce(parent.relname, s.relname) AS name, sum(s.n_live_tup)::float8 AS live,
            sum(s.n_dead_tup)::float8 AS dead, sum(pg_total_relation_size(s.relid))::float8 AS bytes
     FROM pg_stat_user_tables s LEFT JOIN pg_inherits i ON i.inhrelid = s.relid
     LEFT JOIN pg_class parent ON parent.oid = i.inhparent
     WHERE s.schemaname = 'signalbox' AND coalesce(parent.relname, s.relname) = ANY($1) GROUP BY 1 ORDER BY 1`,
    [names],
  );
  for (const { name, live, dead, bytes } of rows) {
    report.figure(
      `table ${name}`,
      `${count(live)} rows, ${count(dead)} dead, ${mebibytes(bytes)} with indexes`,
      { rows: live, deadRows: dead, bytes },
    );
  }
}

/** @param children by the names that are printed */
export async function printMemory(
  children: Readonly<Record<string, Child<unknown>>>,
  report: Report,
): Promise<void> {
  for (const [name, child] of Object.entries(children)) {
    const { memory } = await child.usage();
    report.figure(`memory of the ${name}`, mebibytes(memory), { memoryBytes: memory });
  }
}

/** Registers definitions as an agent does. @returns milliseconds */
export async function registerAll(
  { url, agentToken }: Server,
  { definitions }: ReturnType<typeof definitionsOf>,
): Promise<number> {
  const transport = httpTransport({ url, token: agentToken });
  const startedAt = performance.now();
  const { sessionId } = await transport.register({
    ...{ name: 'bench-many', queues: ['nobody'], concurrency: 1, version: '1' },
    ...{ definitions, fileErrors: [] },
  });
  const tookMs = performance.now() - startedAt;
  await transport.stop(sessionId);
  await transport.close();
  return tookMs;
}
