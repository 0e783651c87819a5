/** Migrations of a database that was in use: what was stored before is found afterwards. */
import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunState } from '../../../domain/run.ts';
import { type Connection, connect } from '../../../orchestrator/store/connection.ts';
import { readUncreatedPools } from '../../../orchestrator/store/pool.ts';
import { listRuns } from '../../../orchestrator/store/run.ts';
import { readFileErrors, replaceFileErrors } from '../../../orchestrator/store/workflow.ts';
import { startTestPostgres, type TestPostgres } from '../../support/postgres.ts';

const MIGRATIONS = new URL('../../../orchestrator/store/migrations/', import.meta.url);
/** The last migration that was applied when the data came. */
const BEFORE = '0019_definitions.sql';
const NOW = new Date('2026-03-01T00:00:00Z');
const SESSIONS = {
  here: '11111111-1111-4111-8111-111111111111',
  gone: '22222222-2222-4222-8222-222222222222',
};

/** Native runs that have ended and one that is under way; runs of another engine, which keep their state here. */
const DATA = `
  INSERT INTO signalbox.workflow_version (workflow, version, graph) VALUES
    ('loads', 'v0', '{"tasks":[{"key":"a","pool":"of-an-old-version"}]}'),
    ('loads', 'v1', '{"tasks":[{"key":"a","pool":"warehouse"},{"key":"b","pool":"warehouse"},{"key":"c","pool":null}]}'),
    ('plain', 'v1', '{"tasks":[{"key":"a"}]}');
  INSERT INTO signalbox.workflow (name, kind, file, version_id, agent)
    SELECT workflow, 'workflow', workflow || '.ts', max(id), 'worker' FROM signalbox.workflow_version GROUP BY workflow;
  INSERT INTO signalbox.run (id, workflow, engine, version_id, state, business_key, created_at)
    SELECT format('00000000-0000-7000-8000-%s', lpad(n::text, 12, '0'))::uuid, 'loads',
           CASE WHEN n > 6 THEN 'airflow' ELSE 'signalbox' END, 1,
           (ARRAY['succeeded','failed','cancelled','skipped','active','succeeded','running','failed','queued','succeeded'])[n],
           'k', now()
    FROM generate_series(1, 10) AS n;
  INSERT INTO signalbox.run_live (run_id, workflow, version_id, state, tasks)
    SELECT id, workflow, 1, 'running', '' FROM signalbox.run WHERE state = 'active';
  INSERT INTO signalbox.agent_session (
    public_id, name, queues, concurrency, state, started_at, last_heartbeat_at, lease_expires_at) VALUES
    ('${SESSIONS.here}', 'worker', '{default}', 1, 'live', now(), now(), now()),
    ('${SESSIONS.gone}', 'other', '{default}', 1, 'lost', now(), now(), now());
  INSERT INTO signalbox.workflow_file_error (file, message, agent) VALUES
    ('a.ts', 'of one that is there', 'worker'), ('b.ts', 'of one that has gone', 'other'),
    ('c.ts', 'of the server itself', '');`;

let postgres: TestPostgres;
let connection: Connection;

beforeAll(async () => {
  postgres = await startTestPostgres();
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  try {
    for (const name of (await readdir(MIGRATIONS)).sort()) {
      await client.query(await readFile(new URL(name, MIGRATIONS), 'utf8'));
      if (name === BEFORE) await client.query(DATA);
    }
  } finally {
    await client.end();
  }
  connection = connect({ databaseUrl: postgres.url, log: () => undefined });
});

afterAll(async () => {
  await connection.close();
  await postgres.stop();
});

async function numbersOf(states: readonly RunState[], engine: string | null = null) {
  const query = { workflow: null, engine, states, prefix: '', businessKey: null, before: null };
  const rows = await listRuns(connection.db, { ...query, limit: 100 });
  return rows.map(({ id }) => Number(id.slice(-12)));
}

describe('after the migration of a database in use', () => {
  it('lists find runs of every state, also those of other engines', async () => {
    expect(await numbersOf(['succeeded'])).toEqual([10, 6, 1]);
    expect(await numbersOf(['failed'])).toEqual([8, 2]);
    expect(await numbersOf(['running'])).toEqual([7, 5]);
    expect(await numbersOf(['queued', 'cancelled', 'skipped'])).toEqual([9, 4, 3]);
    expect(await numbersOf(['succeeded', 'running'], 'airflow')).toEqual([10, 7]);
  });

  it('pools are known that the workflows name as they are now, and nobody created', async () => {
    expect(await readUncreatedPools(connection.db)).toEqual([
      { pool: 'warehouse', workflows: ['loads'] },
    ]);
  });

  it('faults of files stand as long as an agent of their name is there, and go with its next word', async () => {
    const { db } = connection;
    const files = async () => (await readFileErrors(db, '')).map(({ file }) => file);
    expect(await files()).toEqual(['a.ts', 'c.ts']);
    const teller = { agent: 'worker', session: SESSIONS.here };
    const fault = { file: 'd.ts', message: 'new', at: NOW.toISOString() };
    await db.transaction((tx) => replaceFileErrors(tx, teller, [fault], NOW));
    expect(await files()).toEqual(['c.ts', 'd.ts']);
  });
});
