import pg from 'pg';
import { onceIn } from 'signalbox';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts';
import { waitFor } from '../support/wait-for.ts';

let database: TestPostgres;
let pool: pg.Pool;

beforeAll(async () => {
  database = await startTestPostgres();
  pool = new pg.Pool({ connectionString: database.url, max: 20 });
  pool.on('error', () => undefined);
  await pool.query('create table effect (key text, who text)');
});

afterAll(async () => {
  await pool.end();
  await database.stop();
});

async function effects(key: string): Promise<string[]> {
  const { rows } = await pool.query<{ who: string }>('select who from effect where key = $1', [
    key,
  ]);
  return rows.map(({ who }) => who);
}

function add(key: string, who: string) {
  return async (client: pg.ClientBase) => {
    await client.query('insert into effect values ($1, $2)', [key, who]);
    return { who, list: [1, 2] };
  };
}

describe('onceIn', () => {
  it('makes its table by itself, also when many are the first at the same time', async () => {
    const all = await Promise.all(
      Array.from({ length: 10 }, (_, index) => onceIn(pool, 'first', add('first', `${index}`))),
    );
    expect(await effects('first')).toHaveLength(1);
    expect(new Set(all.map(({ who }) => who)).size).toBe(1);
  });

  it('gives the recorded result to whoever comes second, without the work', async () => {
    const first = await onceIn(pool, 'twice', add('twice', 'a'));
    const second = await onceIn(pool, 'twice', add('twice', 'b'));
    expect([first, second]).toEqual([
      { who: 'a', list: [1, 2] },
      { who: 'a', list: [1, 2] },
    ]);
    expect(await effects('twice')).toEqual(['a']);
  });

  it('works on a client of the caller’s, through which the work goes', async () => {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    try {
      await onceIn(client, 'own', () => add('own', 'me')(client));
      await onceIn(client, 'own', () => add('own', 'me again')(client));
    } finally {
      await client.end();
    }
    expect(await effects('own')).toEqual(['me']);
  });

  it('records nothing of work that fails, and lets the next one do it', async () => {
    const failing = onceIn(pool, 'fails', async (client) => {
      await add('fails', 'a')(client);
      throw new Error('afterwards');
    });
    await expect(failing).rejects.toThrow('afterwards');
    expect(await effects('fails')).toEqual([]);
    await onceIn(pool, 'fails', add('fails', 'b'));
    expect(await effects('fails')).toEqual(['b']);
  });

  it('leaves neither effect nor marker when the connection breaks in the middle', async () => {
    const broken = onceIn(pool, 'broken', async (client) => {
      await add('broken', 'a')(client);
      await client.query('select pg_terminate_backend(pg_backend_pid())');
    });
    await expect(broken).rejects.toThrow();
    await onceIn(pool, 'broken', add('broken', 'b'));
    expect(await effects('broken')).toEqual(['b']);
  });

  it('lets the second wait for the first, and do the work when that one fails', async () => {
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const first = onceIn(pool, 'wait', async () => {
      begun.resolve();
      await gate.promise;
      throw new Error('gave up');
    });
    await begun.promise;
    const second = onceIn(pool, 'wait', add('wait', 'second'));
    await waitFor(
      async () => {
        const { rows } = await pool.query(
          `select from pg_stat_activity where wait_event_type = 'Lock' and wait_event = 'advisory'`,
        );
        return rows.length > 0;
      },
      { what: 'the second to wait for the lock' },
    );
    gate.resolve();
    await expect(first).rejects.toThrow('gave up');
    expect(await second).toMatchObject({ who: 'second' });
  });

  it('joins a transaction that is open already, and counts when that one commits', async () => {
    const client = await pool.connect();
    try {
      await client.query('begin');
      await onceIn(client, 'joined', add('joined', 'undone'));
      await client.query('rollback');
      await client.query('begin');
      await onceIn(client, 'joined', add('joined', 'kept'));
      await client.query('commit');
    } finally {
      client.release();
    }
    expect(await effects('joined')).toEqual(['kept']);
  });

  it('works for a role that may use the table and not create one', async () => {
    await pool.query(`
      create role modest login password 'modest';
      grant select, insert on signalbox_once to modest;
      revoke create on schema public from public`);
    const url = new URL(database.url);
    url.username = 'modest';
    url.password = 'modest';
    const client = new pg.Client({ connectionString: url.href });
    await client.connect();
    try {
      expect(await onceIn(client, 'modest', () => 'done')).toBe('done');
    } finally {
      await client.end();
      await pool.query('drop owned by modest; drop role modest');
    }
  });

  it('refuses a key that an index could not hold', async () => {
    await expect(onceIn(pool, 'x'.repeat(2_001), () => 1)).rejects.toThrow(/1 to 2000 bytes/);
    await expect(onceIn(pool, '', () => 1)).rejects.toThrow(RangeError);
  });
});
