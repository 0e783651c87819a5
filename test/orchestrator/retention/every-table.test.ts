/** No table grows for ever: each is bounded by a kind of retention, or by what is said of it. */
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RETENTION_KINDS, TABLES_KEPT } from '../../../domain/retention.ts';
import { manualClock } from '../../../domain/time.ts';
import { firstIdAt } from '../../../orchestrator/retention/id-range.ts';
import { migrate } from '../../../server/migrate.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import { type Stand, startStand } from '../dispatch/stand.ts';

const DAY_MS = 86_400_000;
const NOW = Date.now();
const daysAgo = (days: number) => new Date(NOW - days * DAY_MS);
const KINDS = new Set(RETENTION_KINDS.map(({ kind }) => kind));

describe('every table in PostgreSQL', () => {
  it('is bounded by a kind of retention, or by what is said of it', async () => {
    const database = await startTestPostgres();
    const client = new pg.Client(database.url);
    try {
      await migrate(database.url);
      await client.connect();
      const { rows } = await client.query<{ name: string }>(
        `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'signalbox' AND c.relkind IN ('r', 'p')
           AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)`,
      );
      const names = rows.map(({ name }) => name);
      expect(names.length).toBeGreaterThan(50);
      expect(names.filter((name) => TABLES_KEPT[name] === undefined)).toEqual([]);
      expect(Object.keys(TABLES_KEPT).filter((name) => !names.includes(name))).toEqual([]);
      // A word that is no sentence is the name of a kind.
      const words = Object.values(TABLES_KEPT).filter((kept) => !kept.includes(' '));
      expect(words.filter((word) => !KINDS.has(word))).toEqual([]);
    } finally {
      await client.end();
      await database.stop();
    }
  });
});

describe('retention', () => {
  const clock = manualClock(NOW);
  let stand: Stand;
  beforeEach(async () => {
    stand = await startStand({ clock });
  });
  afterEach(() => stand[Symbol.asyncDispose]());

  const keysOf = async (sql: string) =>
    (await stand.sql<{ key: string }>(sql)).map(({ key }) => key).sort();

  it('deletes old misses of deadlines, but for those of runs that still go on', async () => {
    const live = firstIdAt(NOW - 500 * DAY_MS);
    await stand.sql(
      `INSERT INTO signalbox.run_live (run_id, workflow, version_id, state, tasks) VALUES ($1, 'w', 1, 'running', '')`,
      [live],
    );
    for (const [key, days, runId] of [
      ['old', 401, null],
      ['goes-on', 401, live],
      ['young', 399, null],
    ] as const) {
      await stand.sql(
        `INSERT INTO signalbox.deadline_miss
           (key, workflow, run_id, name, due_at, noticed_at, reason, detail, on_miss)
         VALUES ($1, 'w', $2, 'sla', $3, $3, 'running', '', 'record')`,
        [key, runId, daysAgo(days)],
      );
    }
    await stand.reconcile('retention');
    expect(await keysOf('SELECT key FROM signalbox.deadline_miss')).toEqual(['goes-on', 'young']);
  });

  it('deletes old callbacks, but for webhooks that are still to be sent', async () => {
    for (const [key, days, url, state] of [
      ['code', 91, null, 'pending'],
      ['sent', 91, 'https://x.test', 'succeeded'],
      ['to-send', 91, 'https://x.test', 'pending'],
      ['young', 89, null, 'pending'],
    ] as const) {
      await stand.sql(
        `INSERT INTO signalbox.callback (key, workflow, run_id, callback, event, url, state, created_at)
         VALUES ($1, 'w', 'r', 'c', '{}', $2, $3, $4)`,
        [key, url, state, daysAgo(days)],
      );
    }
    await stand.reconcile('retention');
    expect(await keysOf('SELECT key FROM signalbox.callback')).toEqual(['to-send', 'young']);
  });

  it('deletes cached results that have no time of their own after a year', async () => {
    for (const [key, days, expires] of [
      ['old', 366, null],
      ['has-a-time', 366, daysAgo(-1)],
      ['young', 364, null],
    ] as const) {
      await stand.sql(
        `INSERT INTO signalbox.result_cache (workflow, name, hash, run_id, created_at, expires_at)
         VALUES ('w', $1, 'h', gen_random_uuid(), $2, $3)`,
        [key, daysAgo(days), expires],
      );
    }
    await stand.reconcile('retention');
    expect(await keysOf('SELECT name AS key FROM signalbox.result_cache')).toEqual([
      ...['has-a-time', 'young'],
    ]);
  });

  it('deletes graphs that no workflow has any more and no run was made of', async () => {
    for (const [version, days] of [
      ['unused', 100],
      ['of-a-run', 100],
      ['current', 100],
      ['young', 10],
    ] as const) {
      await stand.sql(
        `INSERT INTO signalbox.workflow_version (workflow, version, graph, created_at, last_used_at)
         VALUES ('w', $1, '{"tasks":[]}', $2, $2)`,
        [version, daysAgo(days)],
      );
    }
    const idOf = `(SELECT id FROM signalbox.workflow_version WHERE version = $1)`;
    await stand.sql(
      `INSERT INTO signalbox.workflow (name, kind, version_id) VALUES ('w', 'workflow', ${idOf})`,
      ['current'],
    );
    await stand.sql(
      `INSERT INTO signalbox.run (id, workflow, version_id, state, business_key, created_at, finished_at)
       VALUES ($2::uuid, 'w', ${idOf}, 'succeeded', 'k', $3, $3)`,
      ['of-a-run', firstIdAt(NOW - 101 * DAY_MS), daysAgo(10)],
    );
    await stand.reconcile('retention');
    expect(
      await keysOf(`SELECT version AS key FROM signalbox.workflow_version WHERE workflow = 'w'`),
    ).toEqual(['current', 'of-a-run', 'young']);
  });
});
