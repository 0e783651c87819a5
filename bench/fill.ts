/** A database with a history: millions of ended tasks, made by PostgreSQL itself. */
import type pg from 'pg';

/** Tasks of a run, and runs of a statement. */
const TASKS_A_RUN = 10;
const RUNS_A_STATEMENT = 50_000;
const DAYS = 60;
const WORKFLOWS = 1_000;

/** Takes the place of the ranges of the logs, so that the history lies in ranges of a week, as after months. */
const RANGES = `
  DO $$
  DECLARE log text; week bigint; part regclass;
  BEGIN
    FOREACH log IN ARRAY ARRAY['task_log', 'step_log'] LOOP
      FOR part IN SELECT inhrelid FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
                  WHERE inhparent = format('signalbox.%I', log)::regclass AND c.relname <> log || '_other' LOOP
        EXECUTE format('DROP TABLE %s', part);
      END LOOP;
      FOR week IN SELECT floor(extract(epoch FROM now()) / 604800) + n FROM generate_series(-10, 3) AS n LOOP
        EXECUTE format('CREATE TABLE signalbox.%I PARTITION OF signalbox.%I FOR VALUES FROM (%L) TO (%L)',
          log || '_' || week, log, signalbox.id_from(to_timestamp(week * 604800)),
          signalbox.id_from(to_timestamp((week + 1) * 604800)));
      END LOOP;
    END LOOP;
  END $$`;

/** $1 to $2: numbers of runs; $3: how many there will be. Ids are UUIDv7 of moments over the last weeks. */
const MADE = `
  SELECT n, at, (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n & 4095), 3, '0')
    || '8' || lpad(to_hex(n), 15, '0'))::uuid AS id
  FROM (SELECT n, now() - interval '1 hour' - ($3::int - n) * interval '${DAYS} days' / $3::int AS at
        FROM generate_series($1::int, $2::int) AS n) AS numbers`;
const FILL_RUNS = `
  INSERT INTO signalbox.run (id, workflow, version_id, state, business_key, trigger, created_at, started_at, finished_at)
  SELECT id, 'stored-' || n % ${WORKFLOWS}, $4, CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'succeeded' END,
         'signalbox|stored-' || n % ${WORKFLOWS} || '|-|{}', 'manual', at, at, at + interval '1 second'
  FROM (${MADE}) AS made`;
const FILL_TASKS = `
  INSERT INTO signalbox.task_log (run_id, task, attempt, state, agent, token, ready_at, started_at, finished_at)
  SELECT id, t, 1, 2, 'bench', n, at, at, at + interval '1 second'
  FROM (${MADE}) AS made CROSS JOIN generate_series(0, ${TASKS_A_RUN - 1}) AS t`;

/** Gives the logs weekly ranges; they must be empty. */
export async function makeRanges(client: pg.ClientBase): Promise<void> {
  await client.query(RANGES);
}

/**
 * Fills a database with ended runs of ten tasks each.
 * @param versionId version of a workflow of ten tasks
 * @returns id of one of the runs
 */
export async function fillHistory(
  client: pg.ClientBase,
  tasks: number,
  versionId: string,
): Promise<string> {
  const runs = Math.ceil(tasks / TASKS_A_RUN);
  await client.query('SET statement_timeout = 0');
  await client.query('SET synchronous_commit = off');
  for (let first = 1; first <= runs; first += RUNS_A_STATEMENT) {
    const last = Math.min(runs, first + RUNS_A_STATEMENT - 1);
    await client.query(FILL_RUNS, [first, last, runs, versionId]);
    await client.query(FILL_TASKS, [first, last, runs]);
  }
  const { rows } = await client.query<{ id: string }>(
    `SELECT id FROM signalbox.run WHERE workflow = 'stored-7' ORDER BY id LIMIT 1`,
  );
  return rows[0]?.id ?? '';
}
