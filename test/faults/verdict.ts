/** What must hold once everything has come to rest: no work lost, no effect doubled, nothing left behind. */
import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { waitFor } from '../support/wait-for.ts';
import { callAny, type Stage } from './stage.ts';
import { EFFECTS, POOL } from './work.ts';

/** A run that was asked for, with the key that its effects carry. */
export interface Asked {
  readonly workflow: keyof typeof EFFECTS;
  readonly key: string;
  readonly runId: string;
}

/** Each line is one thing that should not be. */
export async function judge(stage: Stage, asked: readonly Asked[]): Promise<readonly string[]> {
  const product = new pg.Client(stage.postgres.url);
  const users = new pg.Client(stage.effects.url);
  await Promise.all([product.connect(), users.connect()]);
  try {
    return [
      ...(await judgeRuns(product, asked)),
      ...(await judgeEffects(stage, users, product, asked)),
      ...(await judgeAttempts(product)),
      ...(await judgeLeftovers(stage, product)),
      ...(await judgeEvents(stage, product)),
      ...judgeEnds(stage),
    ];
  } finally {
    await Promise.all([product.end(), users.end()]);
  }
}

/** Where a process died between an effect and its record, a key that must not be repeated asks a person. */
const ASKS_A_PERSON = /OnceUnknown|once-unknown|settle/i;

async function judgeRuns(product: pg.Client, asked: readonly Asked[]): Promise<string[]> {
  const { rows } = await product.query<{ id: string; state: string; error: unknown }>(
    'SELECT id, state, error FROM signalbox.run WHERE workflow = ANY($1)',
    [Object.keys(EFFECTS)],
  );
  const byId = new Map(rows.map((row) => [row.id, row]));
  const faults = asked.flatMap(({ runId }) => {
    const run = byId.get(runId);
    if (!run) return [`run ${runId} was acknowledged and is not there`];
    if (run.state === 'succeeded') return [];
    const error = JSON.stringify(run.error);
    if (run.state === 'failed' && ASKS_A_PERSON.test(error)) return [];
    return [`run ${runId} is ${run.state}: ${error}`];
  });
  if (rows.length > asked.length) faults.push(`${rows.length} runs for ${asked.length} requests`);
  return faults;
}

async function judgeEffects(
  { effectsFile }: Stage,
  users: pg.Client,
  product: pg.Client,
  asked: readonly Asked[],
): Promise<string[]> {
  const { rows } = await users.query<{ key: string; n: number }>(
    'SELECT key, count(*)::int AS n FROM effect GROUP BY key',
  );
  const counts = new Map(rows.map(({ key, n }) => [key, n]));
  for (const key of (await readFile(effectsFile, 'utf8')).split('\n')) {
    if (key !== '') counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const failed = await product.query<{ id: string }>(
    `SELECT id FROM signalbox.run WHERE state = 'failed'`,
  );
  const unfinished = new Set(failed.rows.map(({ id }) => id));
  return asked.flatMap(({ workflow, key, runId }) =>
    Object.entries(EFFECTS[workflow]).flatMap(([name, rule]) => {
      const count = counts.get(`${key}/${name}`) ?? 0;
      const most = rule === 'at-least-once' ? Number.POSITIVE_INFINITY : 1;
      const least = rule === 'at-most-once' || unfinished.has(runId) ? 0 : 1;
      if (count > most) return [`effect ${key}/${name} is there ${count} times`];
      return count < least ? [`effect ${key}/${name} of run ${runId} is missing`] : [];
    }),
  );
}

/** At most one attempt of a task may count as succeeded, whoever came back with a stale completion. */
async function judgeAttempts(product: pg.Client): Promise<string[]> {
  const { rows } = await product.query<{ run_id: string; task: number; n: number }>(
    `SELECT run_id, task, count(*)::int AS n FROM signalbox.task_log
     WHERE state = 2 GROUP BY run_id, task HAVING count(*) > 1`,
  );
  return rows.map(({ run_id, task, n }) => `task ${task} of run ${run_id} succeeded ${n} times`);
}

/** How a server ends that is started while its PostgreSQL is away. */
const WITHOUT_POSTGRES = /PostgreSQL at \S+ (refuses connections|cannot be reached)/;

function judgeEnds({ servers, agents }: Stage): string[] {
  return [...servers, ...agents].flatMap(({ name, ends }) =>
    ends
      .filter((words) => !WITHOUT_POSTGRES.test(words))
      .map((words) => `${name} ended by itself: ${words}`),
  );
}

async function judgeLeftovers(stage: Stage, product: pg.Client): Promise<string[]> {
  const faults: string[] = [];
  for (const table of ['run_live', 'task_live']) {
    const { rows } = await product.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM signalbox.${table}`,
    );
    if (rows[0]?.n !== 0) faults.push(`${rows[0]?.n} rows are left in ${table}`);
  }
  const held = await product.query<{ name: string; state: string; n: number }>(
    `SELECT s.name, s.state, count(*)::int AS n
     FROM signalbox.task_live t JOIN signalbox.agent_session s ON s.id = t.session_id GROUP BY 1, 2`,
  );
  for (const { name, state, n } of held.rows) {
    faults.push(`${n} tasks are held by the ${state} session of ${name}`);
  }
  const pools = (await callAny(stage, 'GET', '/pools')) as {
    items: readonly { name: string; used: number; waiting: number }[];
  };
  const pool = pools.items.find(({ name }) => name === POOL);
  if (pool?.used !== 0 || pool.waiting !== 0) {
    faults.push(`slots of the pool are not free: ${JSON.stringify(pool)}`);
  }
  const queues = (await callAny(stage, 'GET', '/queues')) as {
    items: readonly { name: string; ready: number; running: number }[];
  };
  for (const queue of queues.items) {
    if (queue.ready + queue.running > 0) faults.push(`queue ${JSON.stringify(queue)} is not empty`);
  }
  return faults;
}

/** Each change is in ClickHouse, none twice. */
async function judgeEvents(stage: Stage, product: pg.Client): Promise<string[]> {
  const { rows } = await product.query<{ n: number }>(
    'SELECT count(*)::int AS n FROM signalbox.task_log',
  );
  const attempts = rows[0]?.n ?? 0;
  const select = async () => {
    const { rows } = (await callAny(stage, 'POST', '/query', {
      sql: `SELECT count() AS n, uniqExact(event_id) AS ids,
              countIf(task_key != '') AS tasks FROM signalbox.run_events`,
    })) as { rows: readonly Record<string, string>[] };
    return rows[0] ?? {};
  };
  const caughtUp = await waitFor(
    async () => {
      const found = await select();
      return Number(found['tasks']) >= attempts ? found : undefined;
    },
    { timeoutMs: 20_000, intervalMs: 500, what: `events of ${attempts} attempts in ClickHouse` },
  ).catch(select);
  const faults: string[] = [];
  if (Number(caughtUp['tasks']) < attempts) {
    faults.push(`${caughtUp['tasks']} events of tasks in ClickHouse for ${attempts} attempts`);
    faults.push(...(await findMissing(stage, product)));
  }
  if (caughtUp['n'] !== caughtUp['ids']) {
    faults.push(`${caughtUp['n']} events in ClickHouse, of which ${caughtUp['ids']} differ`);
  }
  return faults;
}

const MOST_SHOWN = 5;

/** Runs whose attempts are not all in ClickHouse, with what is known of them on both sides. */
async function findMissing(stage: Stage, product: pg.Client): Promise<string[]> {
  const { url, reader } = stage.clickhouse;
  const select = async (sql: string) => {
    const response = await fetch(`${url}/?user=${reader.username}&password=${reader.password}`, {
      method: 'POST',
      body: `${sql} FORMAT JSON`,
    });
    return ((await response.json()) as { data: readonly Record<string, string>[] }).data;
  };
  const seen = new Map(
    (
      await select(
        `SELECT run_id, countIf(task_key != '') AS n FROM signalbox.run_events GROUP BY run_id`,
      )
    ).map((row) => [row['run_id'], Number(row['n'])]),
  );
  const { rows } = await product.query<{ run_id: string; n: number }>(
    'SELECT run_id, count(*)::int AS n FROM signalbox.task_log GROUP BY run_id',
  );
  const missing = rows.filter(({ run_id, n }) => (seen.get(run_id) ?? 0) < n);
  return Promise.all(
    missing.slice(0, MOST_SHOWN).map(async ({ run_id }) => {
      const attempts = await product.query(
        `SELECT task, attempt, state, agent, error ->> 'name' AS error, finished_at FROM signalbox.task_log
         WHERE run_id = $1 ORDER BY task, attempt`,
        [run_id],
      );
      const events = await select(
        `SELECT event_id, task_key, attempt, state, at FROM signalbox.run_events
         WHERE run_id = '${run_id}' ORDER BY event_id`,
      );
      const batches = await product.query(
        `SELECT xid, id, kind, size, events FROM signalbox.event_batch
         WHERE strpos(events, $1) > 0 ORDER BY xid, id`,
        [run_id],
      );
      const { rows: followers } = await product.query('SELECT * FROM signalbox.follower');
      const aside = await readAside(stage);
      const known = { attempts: attempts.rows, events, batches: batches.rows, followers, aside };
      return `of ${missing.length}: run ${run_id}\n${JSON.stringify(known, null, 1)}`;
    }),
  );
}

/** Rows that ClickHouse refused, as the servers keep them. */
async function readAside(stage: Stage): Promise<readonly string[]> {
  const kept: string[] = [];
  for await (const path of glob(join(stage.directory, '*', 'spool', 'refused-rows.jsonl'))) {
    kept.push(await readFile(path, 'utf8'));
  }
  return kept;
}
