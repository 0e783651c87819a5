/** A database that was in use before its logs had ranges. */
import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';
import { expect, it } from 'vitest';
import { startTestPostgres } from '../../support/postgres.ts';

const MIGRATIONS = new URL('../../../orchestrator/store/migrations/', import.meta.url);
const RANGES = '0011_retention.sql';

it('logs that were there become the first range as they are, and ids from nowhere find a place', async () => {
  await using database = await startTestPostgres();
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const apply = async (name: string) =>
    client.query(await readFile(new URL(name, MIGRATIONS), 'utf8'));
  const files = (await readdir(MIGRATIONS)).sort();
  const place = files.indexOf(RANGES);
  for (const name of files.slice(0, place)) await apply(name);
  await client.query(
    `INSERT INTO signalbox.task_log (run_id, task, attempt, state, finished_at)
     SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - n * 1000), 12, '0')
             || lpad(to_hex(n), 20, '7'))::uuid, 0, 1, 2, now()
     FROM generate_series(1, 5000) AS n`,
  );
  const stray = 'ffffffff-ffff-4fff-8fff-ffffffffffff';
  await client.query(
    `INSERT INTO signalbox.task_log (run_id, task, attempt, state, finished_at) VALUES ($1, 0, 1, 2, now())`,
    [stray],
  );
  await client.query(
    `INSERT INTO signalbox.step_log (run_id, key, state, started_at, finished_at)
     VALUES ($1, 'a', 'succeeded', now(), now())`,
    [stray],
  );
  const file = async (table: string) =>
    (await client.query(`SELECT pg_relation_filenode('signalbox.${table}') AS file`)).rows[0]?.file;
  const before = await file('task_log');
  for (const name of files.slice(place)) await apply(name);
  const count = async (table: string) =>
    (await client.query(`SELECT count(*)::int AS n FROM signalbox.${table}`)).rows[0]?.n;
  expect(await file('task_log_first')).toBe(before);
  expect(await count('task_log_first')).toBe(5_000);
  expect(await count('task_log_other')).toBe(1);
  expect(await count('task_log')).toBe(5_001);
  expect(await count('step_log')).toBe(1);
  await expect(
    client.query(
      `INSERT INTO signalbox.task_log (run_id, task, attempt, state, finished_at) VALUES ($1, 0, 1, 2, now())`,
      [stray],
    ),
  ).rejects.toThrow('duplicate key');
  await client.end();
});
