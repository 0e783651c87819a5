import pg from 'pg';
import { type PostgresPool, postgresPool } from 'signalbox';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyCeilings, reportPools } from '../../../orchestrator/pools/registered.ts';
import { startTestPostgres, type TestPostgres } from '../../support/postgres.ts';
import { waitFor } from '../../support/wait-for.ts';

let database: TestPostgres;
const pools: PostgresPool[] = [];

function open(name: string, options: { max?: number; acquireTimeout?: string } = {}): PostgresPool {
  const pool = postgresPool(name, { connectionString: database.url, server: 'db', ...options });
  pools.push(pool);
  return pool;
}

const report = (name: string) => reportPools().find((one) => one.name === name);

beforeAll(async () => {
  database = await startTestPostgres();
});

afterAll(async () => {
  await Promise.all(pools.map((pool) => (pool.ended ? undefined : pool.end())));
  await database.stop();
});

describe('postgresPool', () => {
  it('is a pool as pg has it, under the name that PostgreSQL shows', async () => {
    const pool = open('plain');
    expect(pool).toBeInstanceOf(pg.Pool);
    const { rows } = await pool.query<{ name: string }>(
      `select current_setting('application_name') as name`,
    );
    expect(rows[0]?.name).toBe('signalbox/plain');
  });

  it('tells how full it is', async () => {
    const pool = open('full', { max: 2 });
    const clients = await Promise.all([pool.connect(), pool.connect()]);
    const third = pool.query('select 1');
    expect(report('full')).toEqual({
      ...{ name: 'full', kind: 'postgres-client', server: 'db' },
      ...{ used: 2, idle: 0, waiting: 1, max: 2, timeouts: 0 },
    });
    for (const client of clients) client.release();
    await third;
    expect(report('full')).toMatchObject({ used: 0, idle: 2, waiting: 0 });
  });

  it('counts who waited in vain', async () => {
    const pool = open('slow', { max: 1, acquireTimeout: '50ms' });
    const client = await pool.connect();
    await expect(pool.query('select 1')).rejects.toThrow(/timeout exceeded/);
    await expect(pool.connect()).rejects.toThrow(/timeout exceeded/);
    client.release();
    expect(report('slow')).toMatchObject({ timeouts: 2 });
  });

  it('lets waiting work in at once when its ceiling is raised', async () => {
    const pool = open('raised', { max: 1 });
    const held = await pool.connect();
    const waiting = Array.from({ length: 3 }, () => pool.query('select pg_sleep(0.01)'));
    expect(report('raised')).toMatchObject({ waiting: 3 });
    applyCeilings({ raised: 3 });
    await Promise.all(waiting);
    expect(report('raised')).toMatchObject({ max: 3, used: 1 });
    held.release();
  });

  it('comes down to a lower ceiling as connections are given back, idle ones first', async () => {
    const pool = open('lowered', { max: 5 });
    const clients = await Promise.all(Array.from({ length: 5 }, () => pool.connect()));
    for (const client of clients.splice(0, 2)) client.release();
    applyCeilings({ lowered: 2 });
    await waitFor(() => pool.totalCount === 3, { what: 'the idle ones to be closed' });
    for (const client of clients) client.release();
    await waitFor(() => pool.totalCount === 2, { what: 'the ceiling' });
    await Promise.all(Array.from({ length: 10 }, () => pool.query('select pg_sleep(0.01)')));
    expect(pool.totalCount).toBe(2);
    const { rows } = await pool.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity where application_name = 'signalbox/lowered'`,
    );
    expect(rows[0]?.n).toBe(2);
  });

  it('goes back to what the code declares when the server sets no ceiling any more', () => {
    const pool = open('free', { max: 4 });
    applyCeilings({ free: 9 });
    expect(pool.max).toBe(9);
    applyCeilings({});
    expect(pool.max).toBe(4);
  });

  it('starts with the ceiling that the server had set before', () => {
    applyCeilings({ late: 2 });
    expect(open('late', { max: 8 }).max).toBe(2);
    applyCeilings({});
  });

  it('is one pool under one name, and refuses other settings under it', () => {
    expect(open('one')).toBe(open('one'));
    expect(() => open('one', { max: 3 })).toThrow(/pool "one": another pool of this name/);
  });

  it('goes on with new connections after the server dropped the old ones', async () => {
    const pool = open('broken');
    await pool.query('select 1');
    await pool
      .query(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'signalbox/broken'`,
      )
      .catch(() => undefined);
    await waitFor(async () => (await pool.query('select 1')).rowCount === 1, { what: 'a query' });
  });
});
