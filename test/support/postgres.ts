/**
 * A database of its own for each test file, on one real PostgreSQL 18 for the whole run.
 * A template is prepared once (migrations) and cloned from then on, which takes tens of
 * milliseconds.
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import './global-setup.ts';
import { waitFor } from './wait-for.ts';

const GOODBYE_MS = 500;

/** A prepared state that databases are cloned from. */
export interface PostgresTemplate {
  /** One name for one content: the first user of a name prepares it for all test files of the run. */
  readonly name: string;
  /** Fills the empty database at `url`, and closes every connection it opened. */
  prepare(url: string): Promise<void>;
}

/** An empty (or cloned) database; `stop()` drops it, with whatever is still connected. */
export interface TestPostgres extends AsyncDisposable {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  stop(): Promise<void>;
}

/**
 * Creates a database on the run's PostgreSQL, from `template` where one is given.
 * @throws Error with PostgreSQL's own output when the cluster cannot start
 */
export async function startTestPostgres(
  options: { template?: PostgresTemplate } = {},
): Promise<TestPostgres> {
  const adminUrl = await sharedPostgresUrl();
  const database = `test_${randomBytes(6).toString('hex')}`;
  await withClient(adminUrl, async (client) => {
    const source = options.template
      ? await ensureTemplate(client, adminUrl, options.template)
      : 'template0';
    await client.query(`CREATE DATABASE ${database} TEMPLATE ${pg.escapeIdentifier(source)}`);
  });
  const url = new URL(adminUrl);
  url.pathname = `/${database}`;
  const stop = () =>
    withClient(adminUrl, async (client) => {
      await gone(client, database);
      await client.query(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
    });
  return {
    url: url.href,
    host: url.hostname,
    port: Number(url.port),
    user: url.username,
    password: url.password,
    database,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/**
 * Waits for connections that were ended but have not said goodbye: a pool counts as ended before that, and one of its
 * connections that is cut then throws where nobody can catch it. What is still used after a while is cut.
 */
async function gone(client: pg.Client, database: string): Promise<void> {
  const left = 'SELECT FROM pg_stat_activity WHERE datname = $1';
  await waitFor(async () => (await client.query(left, [database])).rowCount === 0, {
    timeoutMs: GOODBYE_MS,
    intervalMs: 5,
  }).catch(() => undefined);
}

async function sharedPostgresUrl(): Promise<string> {
  const response = await fetch(inject('sharedPostgres'));
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return text;
}

/** Prepares the template under a lock of its name; the rename at the end marks it as whole. */
async function ensureTemplate(
  client: pg.Client,
  adminUrl: string,
  template: PostgresTemplate,
): Promise<string> {
  const name = `template_${template.name}`;
  await client.query('SELECT pg_advisory_lock(hashtext($1))', [name]);
  try {
    const found = await client.query('SELECT FROM pg_database WHERE datname = $1', [name]);
    if (found.rowCount === 0) {
      const draft = pg.escapeIdentifier(`${name}_draft`);
      await client.query(`DROP DATABASE IF EXISTS ${draft} WITH (FORCE)`);
      await client.query(`CREATE DATABASE ${draft} TEMPLATE template0`);
      const url = new URL(adminUrl);
      url.pathname = `/${name}_draft`;
      await template.prepare(url.href);
      await client.query(`ALTER DATABASE ${draft} RENAME TO ${pg.escapeIdentifier(name)}`);
    }
  } finally {
    await client.query('SELECT pg_advisory_unlock(hashtext($1))', [name]);
  }
  return name;
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
