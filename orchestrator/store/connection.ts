/**
 * Connections to Postgres, in three pools. The hot one serves dispatch: its statements take arrays of many rows and
 * must find each by its key whatever the statistics say. Those may be from a moment at which the table was empty, and
 * then a scan of all of it, once for each row that is looked for, seems to cost nothing. So the hot pool plans
 * generically, joins only by nested loop, and reads only by bitmap scans: these are made for a key and never for a
 * whole table, so that nothing is left to choose from. Claims read in the order of an index and have a pool that may.
 * The general one serves everything else.
 *
 * Statements are prepared once a connection, under a name for each text.
 */
import pg from 'pg';

/** What runs statements: a pool, or the one connection of a transaction. */
export interface Tx {
  /** Rows as objects. bigint comes as text, timestamptz as Date. */
  query<Row extends object>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Rows as arrays, for results of many rows. */
  rows<Row extends readonly unknown[]>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Number of rows changed. */
  execute(sql: string, values?: readonly unknown[]): Promise<number>;
}

export interface Db extends Tx {
  /** One transaction; done again from the start after a deadlock or a serialization failure. */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /**
   * One transaction of statements none of which needs another's answer: all of them, and the commit, go out in one
   * packet. Where one fails, nothing is written, and its error is thrown. It is not done again.
   */
  batch<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
}

export interface Connection {
  /** Dispatch: claims, completions, heartbeats. */
  readonly hot: Db;
  /** Dispatch, where rows are read in the order of an index. */
  readonly claims: Db;
  readonly db: Db;
  /** A connection of its own that LISTENs; `onLost` is told once it is gone. */
  listen(
    channels: readonly string[],
    onMessage: (channel: string, payload: string) => void,
    onLost: () => void,
  ): Promise<{ close(): Promise<void> }>;
  close(): Promise<void>;
}

export interface ConnectionOptions {
  readonly databaseUrl: string;
  /** Connections of all pools together; 16 unless told. */
  readonly poolSize?: number;
  log(message: string): void;
}

const POOL_SIZE = 16;
const MIN_POOL_SIZE = 8;
/** One claim is under way at a time; one more connection for what reads in order beside it. */
const CLAIM_CONNECTIONS = 2;
const STATEMENT_TIMEOUT_MS = 30_000;
const TRANSACTION_ATTEMPTS = 6;
/** Texts that get a name; beyond it they are sent unnamed, so that no connection collects plans without end. */
const MAX_PREPARED = 400;
const CLAIM_SETTINGS = [
  'plan_cache_mode=force_generic_plan',
  'enable_seqscan=off',
  'enable_hashjoin=off',
  'enable_mergejoin=off',
  'enable_material=off',
  'jit=off',
];
const HOT_SETTINGS = [...CLAIM_SETTINGS, 'enable_indexscan=off', 'enable_indexonlyscan=off'];
const DEADLOCK = '40P01';
const SERIALIZATION_FAILURE = '40001';

/** Opens both pools. Nothing connects before the first statement. */
export function connect(options: ConnectionOptions): Connection {
  const size = Math.max(MIN_POOL_SIZE, options.poolSize ?? POOL_SIZE);
  const hot = makePool(options, Math.floor(size / 2) - CLAIM_CONNECTIONS, HOT_SETTINGS);
  const claims = makePool(options, CLAIM_CONNECTIONS, CLAIM_SETTINGS);
  const general = makePool(options, Math.ceil(size / 2), []);
  return {
    hot: asDb(hot),
    claims: asDb(claims),
    db: asDb(general),
    listen: (channels, onMessage, onLost) => listen(options, channels, onMessage, onLost),
    async close() {
      await Promise.all([hot.end(), claims.end(), general.end()]);
    },
  };
}

function makePool(
  { databaseUrl, log }: ConnectionOptions,
  max: number,
  settings: readonly string[],
): pg.Pool {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max,
    application_name: 'signalbox',
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: 2 * STATEMENT_TIMEOUT_MS,
    keepAlive: true,
    // Statements of a transaction that do not need each other's answers go out together.
    pipeline: true,
    ...(settings.length === 0
      ? {}
      : { options: settings.map((setting) => `-c ${setting}`).join(' ') }),
  });
  // One that breaks while it is taken fails the statement under way; as an event it would end the process.
  pool.on('connect', (client) => client.on('error', () => undefined));
  pool.on('error', (error) => log(`a connection to PostgreSQL broke: ${error.message}`));
  return pool;
}

/** For the rest of the transaction statements are planned as on a hot connection. */
export async function lookUpByKey(tx: Tx): Promise<void> {
  await tx.execute(
    `SELECT set_config('enable_indexscan', 'off', true), set_config('enable_indexonlyscan', 'off', true)`,
  );
}

/**
 * Rows in the order of an index, up to a limit: without statistics the planner takes a table for empty, and would read
 * all rows of a filter to sort them.
 */
export function readInOrder<Row extends object>(
  db: Db,
  sql: string,
  values: readonly unknown[],
): Promise<Row[]> {
  return db.batch(async (tx) => {
    const told = tx.execute(`SELECT set_config('enable_bitmapscan', 'off', true)`);
    const [rows] = await Promise.all([tx.query<Row>(sql, values), told]);
    return rows;
  });
}

const names = new Map<string, string>();

function nameOf(sql: string): string | undefined {
  const known = names.get(sql);
  if (known !== undefined || names.size >= MAX_PREPARED) return known;
  const name = `signalbox_${names.size}`;
  names.set(sql, name);
  return name;
}

/** The first error of a connection's statements: those behind it in the transaction fail with it. */
function firstErrorOf(client: Pick<pg.ClientBase, 'query'>) {
  const errors: unknown[] = [];
  const query = (config: pg.QueryConfig | pg.QueryArrayConfig) => {
    const result = client.query(config);
    result.catch((error: unknown) => errors.push(error));
    return result;
  };
  return {
    tx: asTx({ query } as Pick<pg.ClientBase, 'query'>),
    orFirst: (error: unknown) => (errors.length > 0 && sqlState(error) ? errors[0] : error),
  };
}

function asTx(client: Pick<pg.ClientBase, 'query'>): Tx {
  const config = (text: string, values: readonly unknown[] | undefined) => {
    const name = nameOf(text);
    return { text, values: [...(values ?? [])], ...(name === undefined ? {} : { name }) };
  };
  return {
    async query<Row extends object>(sql: string, values?: readonly unknown[]) {
      const result = await client.query<Row>(config(sql, values));
      return result.rows;
    },
    async rows<Row extends readonly unknown[]>(sql: string, values?: readonly unknown[]) {
      const result = await client.query<unknown[]>({ ...config(sql, values), rowMode: 'array' });
      return result.rows as unknown as Row[];
    },
    async execute(sql, values) {
      const result = await client.query(config(sql, values));
      return result.rowCount ?? 0;
    },
  };
}

function asDb(pool: pg.Pool): Db {
  return {
    ...asTx(pool as unknown as Pick<pg.ClientBase, 'query'>),
    batch: (work) => batch(pool, work),
    async transaction(work) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await once(pool, work);
        } catch (error) {
          if (attempt >= TRANSACTION_ATTEMPTS || !mayRepeat(error)) throw error;
        }
      }
    },
  };
}

/** The connection's socket, which a client of pg's has but does not show. */
interface Corked {
  readonly connection?: { readonly stream?: { cork?(): void; uncork?(): void } };
}

async function batch<T>(pool: pg.Pool, work: (tx: Tx) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  const { stream } = (client as Corked).connection ?? {};
  const { tx, orFirst } = firstErrorOf(client);
  let broken: Error | undefined;
  try {
    stream?.cork?.();
    const begun = client.query('BEGIN');
    const worked = work(tx);
    const ended = client.query('COMMIT');
    stream?.uncork?.();
    const [begin, result, commit] = await Promise.allSettled([begun, worked, ended]);
    if (begin.status === 'rejected') broken = begin.reason as Error;
    if (commit.status === 'rejected') broken = commit.reason as Error;
    if (result.status === 'rejected') throw orFirst(result.reason);
    if (broken) throw broken;
    if (commit.status === 'fulfilled' && commit.value.command !== 'COMMIT') {
      throw new Error('a transaction was not committed');
    }
    return result.value;
  } finally {
    client.release(broken);
  }
}

async function once<T>(pool: pg.Pool, work: (tx: Tx) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  const { tx, orFirst } = firstErrorOf(client);
  let broken: Error | undefined;
  try {
    const begun = client.query('BEGIN');
    begun.catch(() => undefined);
    const result = await work(tx);
    await begun;
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch((cause: Error) => {
      broken = cause;
    });
    throw orFirst(error);
  } finally {
    client.release(broken);
  }
}

function mayRepeat(error: unknown): boolean {
  const code = sqlState(error);
  return code === DEADLOCK || code === SERIALIZATION_FAILURE;
}

/** SQLSTATE of an error of PostgreSQL's; undefined for any other. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

async function listen(
  { databaseUrl }: ConnectionOptions,
  channels: readonly string[],
  onMessage: (channel: string, payload: string) => void,
  onLost: () => void,
): Promise<{ close(): Promise<void> }> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: 'signalbox-listen',
    keepAlive: true,
  });
  // Until it listens, the caller is told by the error alone: told twice, it would try again twice.
  let listening = false;
  const lost = () => {
    if (listening) onLost();
    listening = false;
  };
  client.on('error', lost);
  client.on('end', lost);
  client.on('notification', ({ channel, payload }) => onMessage(channel, payload ?? ''));
  try {
    await client.connect();
    for (const channel of channels) await client.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
  } catch (error) {
    client.end().catch(() => undefined);
    throw error;
  }
  listening = true;
  return {
    async close() {
      listening = false;
      await client.end();
    },
  };
}
