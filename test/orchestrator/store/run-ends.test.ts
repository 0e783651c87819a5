/** What the end of a run costs in PostgreSQL. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Connection, connect, type Tx } from '../../../orchestrator/store/connection.ts';
import { insertRuns, type NewRun } from '../../../orchestrator/store/run-insert.ts';
import { endRuns, type RunEnd } from '../../../orchestrator/store/run-live.ts';
import { migrate } from '../../../server/migrate.ts';
import { startTestPostgres, type TestPostgres } from '../../support/postgres.ts';

const RUNS = 1_000;
/** Of a page's runs so many end at a time. */
const EVERY = 5;
const NOW = 1_700_000_000_000;

let postgres: TestPostgres;
let connection: Connection;
const ids = Array.from({ length: RUNS }, () => randomUUID());

beforeAll(async () => {
  postgres = await startTestPostgres();
  await migrate(postgres.url);
  connection = connect({ databaseUrl: postgres.url, log: () => undefined });
  const runs = ids.map(
    (id): NewRun => ({
      ...{ id, businessKey: id, state: 'active' },
      request: {
        ...{ workflow: 'w', versionId: '1', maxActiveRuns: null },
        ...{ parameters: {}, trigger: 'manual' },
      },
    }),
  );
  await connection.hot.transaction((tx) => insertRuns(tx, runs, NOW));
});

afterAll(async () => {
  await connection.close();
  await postgres.stop();
});

/** Ends some runs. @returns how many rows were changed, and how many of them without a new entry in an index */
function end(
  which: (index: number) => boolean,
  state: RunEnd['state'],
): Promise<{ changed: number; inPlace: number } | undefined> {
  const common = { state, startedAt: NOW, error: null, result: 1, tasks: null };
  const ends = ids.filter((_, index) => which(index)).map((runId) => ({ runId, ...common }));
  return connection.hot.transaction(async (tx) => {
    await endRuns(tx, ends, NOW + 1);
    return changesOf(tx);
  });
}

async function changesOf(tx: Tx): Promise<{ changed: number; inPlace: number } | undefined> {
  const [row] = await tx.query<{ changed: number; inPlace: number }>(
    `SELECT n_tup_upd::int AS changed, n_tup_hot_upd::int AS "inPlace"
     FROM pg_stat_xact_user_tables WHERE schemaname = 'signalbox' AND relname = 'run'`,
  );
  return row;
}

it('a run that succeeds is ended without a new entry in any index of runs', async () => {
  const changed = RUNS / EVERY;
  expect(await end((index) => index % EVERY === 0, 'succeeded')).toEqual({
    ...{ changed, inPlace: changed },
  });
});

it('a run that ends otherwise has its place in the indexes by which lists find it', async () => {
  await end((index) => index % EVERY === 1, 'failed');
  const rows = await connection.db.query(
    `SELECT state, other_state AS "other", count(*)::int AS runs
     FROM signalbox.run GROUP BY 1, 2 ORDER BY 1`,
  );
  const runs = RUNS / EVERY;
  expect(rows).toEqual([
    { state: 'active', other: null, runs: RUNS - 2 * runs },
    { state: 'failed', other: 'failed', runs },
    { state: 'succeeded', other: null, runs },
  ]);
});
