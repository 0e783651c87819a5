/** A connection to the user's PostgreSQL for one transaction: out of his pool, or one of its own. */
import pg from 'pg';

export type PostgresConnection = string | pg.Pool;

const CONNECT_LIMIT_MS = 15_000;

export interface Lent {
  readonly client: pg.ClientBase;
  /** Does the last work and commits; on a failure nothing of the transaction stays. */
  close(last: () => Promise<void>): Promise<void>;
  /** Rolls back, and gives the connection back. Never fails: a broken connection has rolled back by itself. */
  undo(): Promise<void>;
}

/** @param signal where it is aborted the connection is cut, so that no statement goes on for an attempt that is over */
export async function borrow(connection: PostgresConnection, signal: AbortSignal): Promise<Lent> {
  signal.throwIfAborted();
  const { client, end } = await open(connection);
  // A connection that breaks fails the next statement; as an event it would end the process.
  client.on('error', ignore);
  const cut = () => void client.end().catch(ignore);
  signal.addEventListener('abort', cut, { once: true });
  let given = false;
  const giveBack = async (broken: boolean) => {
    if (given) return;
    given = true;
    signal.removeEventListener('abort', cut);
    await end(broken);
    if (!broken) client.off('error', ignore);
  };
  const undo = async () => {
    if (given) return;
    const whole = await client.query('ROLLBACK').then(
      () => true,
      () => false,
    );
    await giveBack(!whole);
  };
  return {
    client,
    undo,
    async close(last) {
      try {
        await last();
        await client.query('COMMIT');
      } catch (error) {
        await undo();
        throw error;
      }
      await giveBack(false);
    },
  };
}

async function open(
  connection: PostgresConnection,
): Promise<{ client: pg.Client | pg.PoolClient; end(broken: boolean): Promise<void> }> {
  if (typeof connection !== 'string') {
    const client = await connection.connect();
    return { client, end: async (broken) => client.release(broken) };
  }
  const client = new pg.Client({
    connectionString: connection,
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
    application_name: 'signalbox/io',
    keepAlive: true,
  });
  await client.connect();
  return { client, end: () => client.end().catch(ignore) };
}

function ignore(): void {}
