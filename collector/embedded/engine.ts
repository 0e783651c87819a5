/**
 * The ClickHouse engine in this process. A connection costs half a millisecond, so every request has
 * one of its own: rights, settings and parameters of one request can never be seen by another.
 * Calls run on libuv's threads; a long query holds a thread, not the event loop.
 */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { type ChdbQueryStream, drainPending, Session } from 'chdb';
import { makeRoles, type User, writeEngineConfig } from './access.ts';
import { fromEngine } from './exceptions.ts';
import { quote } from './sql-text.ts';

/** A whole result and what it took. */
export interface EngineResult {
  readonly bytes: Uint8Array;
  readonly rowsRead: number;
  readonly bytesRead: number;
  readonly elapsedSeconds: number;
}

/** One connection, with one user's rights. Not for two calls at a time. */
export interface EngineConnection {
  /** Runs a statement, or several separated by `;` whose results follow each other. */
  run(sql: string, format: string): Promise<EngineResult>;
  /** Runs a SELECT; each chunk is a whole document in the format. */
  stream(sql: string, format: string): AsyncIterable<Uint8Array>;
  /** Ends whatever runs on this connection, from outside. */
  cancel(): Promise<void>;
  /** Gives the connection back; safe while something still runs on it. */
  close(): void;
}

/** The engine on one data directory. */
export interface Engine {
  readonly version: string;
  readonly timezone: string;
  /** Names of all table functions, in lower case. */
  readonly tableFunctions: ReadonlySet<string>;
  /** Opens a connection with the rights of `user`; `statements` run first (settings and the like). */
  connect(user: User): EngineConnection;
  /** Statements that give a fresh connection its rights: to be run before anything of the client's. */
  openingStatements(connection: EngineConnection, user: User): string[];
  /** Cancels everything and releases the data directory. */
  close(): Promise<void>;
}

interface TaggedConnection extends EngineConnection {
  readonly tag: string;
}

/**
 * Opens the engine.
 * @throws Error when the directory cannot be used or the engine does not enforce the roles
 */
export async function openEngine(dataDir: string): Promise<Engine> {
  const roles = makeRoles();
  const data = join(dataDir, 'data');
  const config = writeEngineConfig(join(dataDir, 'config'), roles);
  const open = () => new Session(data, { connectionArgs: [`--config-file=${config}`] });
  const control = open();
  const ask = async (sql: string) => (await control.queryAsync(sql, { format: 'TSV' })).text();
  await ask(`SET ROLE ${roles.writer}`);
  const [version = '', timezone = ''] = (await ask('SELECT version(), timezone()'))
    .trim()
    .split('\t');
  const tableFunctions = new Set(
    (await ask('SELECT lower(name) FROM system.table_functions')).trim().split('\n'),
  );
  const live = new Set<TaggedConnection>();
  const kill = async (tag: string) => {
    await ask(`KILL QUERY WHERE Settings['log_comment'] = ${quote(tag)} ASYNC`);
  };

  return {
    version,
    timezone,
    tableFunctions,
    connect() {
      const connection = makeConnection(open(), kill, () => live.delete(connection));
      live.add(connection);
      return connection;
    },
    openingStatements(connection, user) {
      const { tag } = connection as TaggedConnection;
      return [`SET ROLE ${roles[user]}`, `SET log_comment = ${quote(tag)}`];
    },
    async close() {
      await Promise.all([...live].map((connection) => connection.cancel()));
      for (const connection of live) connection.close();
      await drainPending();
      control.close();
      await drainPending();
    },
  };
}

function makeConnection(
  session: Session,
  kill: (tag: string) => Promise<void>,
  onClose: () => void,
): TaggedConnection {
  const tag = randomUUID();
  let running = 0;
  let active: ChdbQueryStream | undefined;
  async function* stream(sql: string, format: string) {
    running += 1;
    try {
      active = session.queryStream(sql, { format });
      for await (const chunk of active) yield chunk.raw();
    } catch (error) {
      throw fromEngine(error);
    } finally {
      running -= 1;
    }
  }
  return {
    tag,
    async run(sql, format) {
      running += 1;
      try {
        const result = await session.queryAsync(sql, { format });
        const { rowsRead, bytesRead, elapsed } = result;
        return { bytes: result.bytes(), rowsRead, bytesRead, elapsedSeconds: elapsed };
      } catch (error) {
        throw fromEngine(error);
      } finally {
        running -= 1;
      }
    },
    stream,
    async cancel() {
      if (running > 0) await kill(tag);
    },
    close() {
      onClose();
      session.close();
    },
  };
}
