/**
 * Exactly once in the user's own PostgreSQL. The marker is written in the transaction of the effect: either both
 * are there or neither, whatever dies in between. Who comes second waits for the first one's transaction (an
 * advisory lock on the key) and gets its result.
 */
import type { ClientBase, Pool, PoolClient } from 'pg';
import { qualify } from '../domain/environment.ts';
import { currentTask } from './agent/task-scope.ts';

const CREATE = `
  create table if not exists signalbox_once (
    key text primary key,
    result jsonb,
    recorded_at timestamptz not null default now()
  )`;

/** Postgres takes locks by number: this one is 'signalbox_once' in ASCII, cut to its first eight bytes. */
const CREATE_LOCK = '8315168162761236834';

const MAX_KEY_BYTES = 2_000;

const prepared = new WeakSet<object>();

/**
 * Does the work once under the key, and gives its result to whoever asks again. The work must go through the
 * given client, else its effect is outside of the transaction. Where the client is in a transaction already, the
 * marker joins it, and counts when that one commits.
 * @param key business key, at most 2,000 bytes; one for each effect
 * @throws what `work` throws; nothing is recorded then
 */
export async function onceIn<T>(
  client: ClientBase | Pool,
  key: string,
  work: (client: ClientBase) => T | Promise<T>,
): Promise<Awaited<T>> {
  if (key === '' || Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw new RangeError(`a key of onceIn has 1 to ${MAX_KEY_BYTES} bytes`);
  }
  const own = inItsEnvironment(key);
  if (!isPool(client)) return onceOn(client, own, work);
  const lent: PoolClient = await client.connect();
  let failure: Error | undefined;
  try {
    return await onceOn(lent, own, work);
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
    throw error;
  } finally {
    // A client that failed in the middle of a transaction is not for others to use.
    lent.release(failure);
  }
}

/** The code of a branch does what has the key once more than production, and takes nothing from it. */
function inItsEnvironment(key: string): string {
  return qualify(currentTask()?.task.assignment.environment ?? null, key);
}

function isPool(client: ClientBase | Pool): client is Pool {
  return 'totalCount' in client;
}

async function onceOn<T>(
  client: ClientBase,
  key: string,
  work: (client: ClientBase) => T | Promise<T>,
): Promise<Awaited<T>> {
  // A connection that breaks between two statements fails the next one; as an event it would end the process.
  client.on('error', ignore);
  try {
    return await inOneTransaction(client, key, work);
  } finally {
    client.off('error', ignore);
  }
}

function ignore(): void {}

async function inOneTransaction<T>(
  client: ClientBase,
  key: string,
  work: (client: ClientBase) => T | Promise<T>,
): Promise<Awaited<T>> {
  const joins = inTransaction(client);
  if (!prepared.has(client)) await prepare(client);
  // A table that was made in somebody's transaction goes with it when that one is undone.
  if (!joins) prepared.add(client);
  // The lock must be waited for before the statement that looks takes its snapshot.
  await client.query(joins ? 'savepoint signalbox_once' : 'begin isolation level read committed');
  try {
    await client.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [
      `signalbox_once/${key}`,
    ]);
    const found = await client.query<{ result: Awaited<T> }>(
      'select result from signalbox_once where key = $1',
      [key],
    );
    const known = found.rows[0];
    const result = known === undefined ? await work(client) : known.result;
    if (known === undefined) {
      await client.query('insert into signalbox_once (key, result) values ($1, $2)', [
        key,
        result === undefined ? null : JSON.stringify(result),
      ]);
    }
    await client.query(joins ? 'release savepoint signalbox_once' : 'commit');
    return result;
  } catch (error) {
    await undo(client, joins);
    throw error;
  }
}

/** A broken connection has rolled back by itself. */
async function undo(client: ClientBase, joins: boolean): Promise<void> {
  await client
    .query(joins ? 'rollback to savepoint signalbox_once' : 'rollback')
    .catch(() => undefined);
}

/** Whether the client's connection stands in a transaction block. */
function inTransaction(client: ClientBase): boolean {
  const status =
    'getTransactionStatus' in client && typeof client.getTransactionStatus === 'function'
      ? (client.getTransactionStatus() as unknown)
      : null;
  return status === 'T' || status === 'E';
}

/** Makes the table where it is missing. A role that may not create tables can use one that is there. */
async function prepare(client: ClientBase): Promise<void> {
  const found = await client.query<{ there: boolean }>(
    `select to_regclass('signalbox_once') is not null as there`,
  );
  if (found.rows[0]?.there === true) return;
  const joins = inTransaction(client);
  if (!joins) await client.query('begin');
  try {
    await client.query('select pg_advisory_xact_lock($1::bigint)', [CREATE_LOCK]);
    await client.query(CREATE);
    if (!joins) await client.query('commit');
  } catch (error) {
    if (!joins) await undo(client, false);
    throw error;
  }
}
