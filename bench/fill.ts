/** A database with a history: millions of ended tasks, made by PostgreSQL itself. */
import type pg from 'pg';

/** Tasks of a run, and runs of a statement. */
const TASKS_A_RUN = 10;
const RUNS_A_STATEMENT = 25_000;
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

/** The history's length and end, so that ids can be made anew wherever they are needed. */
export interface History {
  readonly runs: number;
  /** Unix milliseconds of the last run. */
  readonly endMs: number;
  readonly stepMs: number;
}

export function historyOf(runs: number): History {
  return { runs, endMs: Date.now() - 3_600_000, stepMs: Math.floor((DAYS * 86_400_000) / runs) };
}

/** Runs $1 to $2 of a history: number, moment, and a UUIDv7 of that moment. */
export function madeRuns({ runs, endMs, stepMs }: History): string {
  return `
    SELECT n, to_timestamp(ms / 1000.0) AS at, (lpad(to_hex(ms), 12, '0') || '7' || lpad(to_hex(n & 4095), 3, '0')
      || '8' || lpad(to_hex(n), 15, '0'))::uuid AS id
    FROM (SELECT n, ${endMs}::bigint - (${runs} - n) * ${stepMs}::bigint AS ms
          FROM generate_series($1::int, $2::int) AS n) AS numbers`;
}

/** Tasks of runs $1 to $2, all of which succeeded. */
export function fillTasks(history: History): string {
  return `
    INSERT INTO signalbox.task_log (run_id, task, attempt, state, agent, token, ready_at, started_at, finished_at)
    SELECT id, t, 1, 2, 'bench', n, at, at, at + interval '1 second'
    FROM (${madeRuns(history)}) AS made CROSS JOIN generate_series(0, ${TASKS_A_RUN - 1}) AS t`;
}

/** Calls with the first and the last of each part of the runs. */
export async function inParts(
  runs: number,
  work: (first: number, last: number) => Promise<unknown>,
  onProgress: (done: number) => void,
): Promise<void> {
  for (let first = 1; first <= runs; first += RUNS_A_STATEMENT) {
    await work(first, Math.min(runs, first + RUNS_A_STATEMENT - 1));
    onProgress(Math.min(runs, first + RUNS_A_STATEMENT - 1));
  }
}

/** Gives the logs weekly ranges; they must be empty. */
export async function makeRanges(client: pg.ClientBase): Promise<void> {
  await client.query(RANGES);
}

/** For a connection that fills: no limit of time, no waiting for the disk. */
export async function fillFast(client: pg.ClientBase): Promise<void> {
  await client.query('SET statement_timeout = 0');
  await client.query('SET synchronous_commit = off');
}

/**
 * Fills a database with ended runs of ten tasks each.
 * @param versionId version of a workflow of ten tasks
 */
export async function fillHistory(
  client: pg.ClientBase,
  tasks: number,
  versionId: string,
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  const history = historyOf(Math.ceil(tasks / TASKS_A_RUN));
  const fillRuns = `
    INSERT INTO signalbox.run (id, workflow, version_id, state, business_key, trigger, created_at, started_at, finished_at)
    SELECT id, 'stored-' || n % ${WORKFLOWS}, $3, CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'succeeded' END,
           'signalbox|stored-' || n % ${WORKFLOWS} || '|-|{}', 'manual', at, at, at + interval '1 second'
    FROM (${madeRuns(history)}) AS made`;
  await fillFast(client);
  await inParts(
    history.runs,
    async (first, last) => {
      await client.query(fillRuns, [first, last, versionId]);
      await client.query(fillTasks(history), [first, last]);
    },
    (done) => onProgress(done, history.runs),
  );
}
