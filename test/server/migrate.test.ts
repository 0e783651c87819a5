import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { migrate, migrationStates } from '../../server/migrate.ts';
import { freePort } from '../support/free-port.ts';
import { startTestPostgres } from '../support/postgres.ts';

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

describe('migrations of PostgreSQL', () => {
  it('bring an empty database up to date once, also when several servers start at once', async () => {
    await using database = await startTestPostgres();
    const before = await migrationStates(database.url);
    expect(before.every(({ state }) => state === 'pending')).toBe(true);
    const done = await Promise.all([1, 2, 3].map(() => migrate(database.url)));
    expect(done.flat().sort()).toEqual(before.map((one) => `${one.module}/${one.name}`).sort());
    expect(await migrate(database.url)).toEqual([]);
    const after = await migrationStates(database.url);
    expect(after.every(({ state }) => state === 'applied')).toBe(true);
  });

  it('refuse to go on where an applied file was changed', async () => {
    await using database = await startTestPostgres();
    await migrate(database.url);
    await withClient(database.url, (client) =>
      client.query(`UPDATE signalbox.migration SET hash = 'other' WHERE module = 'server'`),
    );
    await expect(migrate(database.url)).rejects.toThrow(
      /server\/0001_access\.sql was changed after it had been applied/,
    );
    expect((await migrationStates(database.url)).at(-1)?.state).toBe('changed');
  });

  it('keep nothing of a migration that fails', async () => {
    await using database = await startTestPostgres();
    await withClient(database.url, (client) =>
      client.query('CREATE SCHEMA signalbox; CREATE TABLE signalbox.login_code (other int)'),
    );
    await expect(migrate(database.url)).rejects.toThrow(/server\/0001_access\.sql failed/);
    const tables = await withClient(database.url, (client) =>
      client.query(`SELECT to_regclass('signalbox.api_token') AS found`),
    );
    expect(tables.rows).toEqual([{ found: null }]);
  });

  it('say what to do where PostgreSQL cannot be reached', async () => {
    const port = await freePort();
    await expect(migrate(`postgres://u:geheim@127.0.0.1:${port}/d`)).rejects.toThrow(
      `PostgreSQL at 127.0.0.1:${port} refuses connections. Start it, or set DATABASE_URL`,
    );
    await using database = await startTestPostgres();
    const wrong = new URL(database.url);
    wrong.password = 'geheim';
    const refusal = migrate(wrong.href);
    await expect(refusal).rejects.toThrow(/refuses the user or the password/);
    await expect(refusal).rejects.not.toThrow(/geheim/);
    wrong.href = database.url;
    wrong.pathname = '/nowhere';
    await expect(migrate(wrong.href)).rejects.toThrow(/has no database nowhere/);
  });

  it('make an audit trail that nobody can change', async () => {
    await using database = await startTestPostgres();
    await migrate(database.url);
    await withClient(database.url, async (client) => {
      await client.query(
        `INSERT INTO signalbox.audit (actor, role, action, subject, outcome, status, request)
         VALUES ('a', 'b', 'c', 'd', 'ok', 200, 'r')`,
      );
      await expect(client.query('DELETE FROM signalbox.audit')).rejects.toThrow(/append-only/);
      await expect(client.query(`UPDATE signalbox.audit SET actor = ''`)).rejects.toThrow(
        /append-only/,
      );
      await expect(client.query('TRUNCATE signalbox.audit')).rejects.toThrow(/append-only/);
    });
  });
});
