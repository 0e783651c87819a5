/**
 * The ClickHouse engine in this process. Calls run on libuv's threads; a long query holds a thread,
 * not the event loop. A connection takes on a user's role, settings and database once, before it sees
 * a client's text; afterwards it is lent again only for exactly the same, and never to the other user.
 */

import { join } from 'node:path';
import { drainPending, Session } from 'chdb';
import { makeRoles, type User, writeEngineConfig } from './access.ts';
import { type Connection, type EngineConnection, makeConnection } from './engine-connection.ts';
import { fromEngine } from './exceptions.ts';
import { MAX_RUNNING_QUERIES } from './options.ts';
import { makeResultPipes } from './result-pipes.ts';
import { quote } from './sql-text.ts';

/** The engine on one data directory. */
export interface Engine {
  readonly version: string;
  readonly timezone: string;
  /** Names of all table functions, in lower case. */
  readonly tableFunctions: ReadonlySet<string>;
  /** Names of all formats that results can have, in lower case. */
  readonly outputFormats: ReadonlySet<string>;
  /**
   * A connection with the user's rights on which `script` has run: settings and the database.
   * @throws ClickHouseException when the script fails
   */
  lend(user: User, script: readonly string[]): Promise<EngineConnection>;
  /**
   * The canonical form of a single statement; it is parsed, and nothing runs.
   * @throws ClickHouseException SYNTAX_ERROR
   */
  parse(text: string): Promise<string>;
  /** Cancels everything and releases the data directory. */
  close(): Promise<void>;
}

/** No rights; and room for the longest text, twice as long when all of it is escaped. */
const PARSER_SCRIPT = ['SET ROLE NONE', 'SET max_query_size = 16777216', 'SET readonly = 1'];

const MAX_IDLE_CONNECTIONS = 24;
const MAX_REMEMBERED_TEXTS = 512;
const MAX_REMEMBERED_LENGTH = 8_192;

/**
 * Opens the engine.
 * @throws Error when the directory cannot be used
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
  const askNames = async (from: string) =>
    new Set((await ask(`SELECT lower(name) FROM system.${from}`)).trim().split('\n'));
  const tableFunctions = await askNames('table_functions');
  const outputFormats = await askNames('formats WHERE is_output');
  const pipes = makeResultPipes(MAX_RUNNING_QUERIES);
  const kill = makeKill(ask);
  const lending = makeLending(() => makeConnection(open(), pipes, kill));
  const remembered = new Map<string, string>();

  return {
    version,
    timezone,
    tableFunctions,
    outputFormats,
    lend: (user, script) =>
      lending.lend(`${user}\n${script.join('\n')}`, (connection) => [
        `SET ROLE ${roles[user]}`,
        `SET log_comment = ${quote(connection.tag)}`,
        ...script,
        ...(user === 'reader' ? ['SET readonly = 1'] : []),
      ]),
    async parse(text) {
      const known = remembered.get(text);
      if (known !== undefined) return known;
      const connection = await lending.lend('parser', () => PARSER_SCRIPT);
      const canonical = await parseOn(connection, text);
      if (text.length <= MAX_REMEMBERED_LENGTH) {
        if (remembered.size >= MAX_REMEMBERED_TEXTS) remembered.clear();
        remembered.set(text, canonical);
      }
      return canonical;
    },
    async close() {
      await lending.close();
      await drainPending();
      control.close();
      await drainPending();
    },
  };
}

async function parseOn(connection: EngineConnection, text: string): Promise<string> {
  try {
    const result = await connection.run(`SELECT formatQuery(${quote(text)})`, 'RawBLOB');
    return Buffer.from(result.bytes).toString('utf8');
  } catch (error) {
    const fault = fromEngine(error);
    throw fault.saying(fault.message.replace(/: In scope SELECT formatQuery\([\s\S]*$/, ''));
  } finally {
    await connection.giveBack({ isUnchanged: true });
  }
}

async function isWell(connection: Connection): Promise<boolean> {
  try {
    await connection.run('SELECT 1', 'Null');
    return true;
  } catch {
    return false;
  }
}

/** Ends queries by their connections' tags; those asked for meanwhile go together in one statement. */
function makeKill(ask: (sql: string) => Promise<string>): (tag: string) => Promise<void> {
  let waiting = new Set<string>();
  let last: Promise<unknown> = Promise.resolve();
  let next: Promise<void> | undefined;
  return (tag) => {
    waiting.add(tag);
    next ??= last
      .catch(() => undefined)
      .then(async () => {
        const tags = [...waiting].map(quote).join(', ');
        waiting = new Set();
        next = undefined;
        last = ask(`KILL QUERY WHERE Settings['log_comment'] IN (${tags}) ASYNC`);
        await last;
      });
    return next;
  };
}

/** Keeps connections that are idle, by the script that has run on them. */
function makeLending(open: () => Connection) {
  const idle: { key: string; connection: Connection }[] = [];
  const lent = new Set<Connection>();
  let isClosed = false;

  function take(key: string): Connection | undefined {
    const at = idle.findLastIndex((entry) => entry.key === key);
    return at < 0 ? undefined : idle.splice(at, 1)[0]?.connection;
  }

  return {
    async lend(
      key: string,
      script: (connection: Connection) => readonly string[],
    ): Promise<EngineConnection> {
      const known = take(key);
      const connection = known ?? open();
      lent.add(connection);
      const giveBack: EngineConnection['giveBack'] = async ({ isUnchanged, hasFailed }) => {
        if (!lent.has(connection)) return;
        // A cancellation on its way must not meet the next one's query.
        await connection.cancelled();
        // What a failed query held is set free by the next one; closing would free it much later,
        // when nothing else runs.
        const isUsable = isUnchanged && (!hasFailed || (await isWell(connection)));
        lent.delete(connection);
        if (!isUsable || isClosed) return connection.close();
        idle.push({ key, connection });
        if (idle.length > MAX_IDLE_CONNECTIONS) idle.shift()?.connection.close();
      };
      try {
        if (!known) await connection.run(script(connection).join(';\n'), 'TSV');
      } catch (error) {
        await giveBack({ isUnchanged: false });
        throw error;
      }
      return { ...connection, giveBack };
    },
    async close() {
      isClosed = true;
      await Promise.all([...lent].map((connection) => connection.cancel()));
      for (const { connection } of idle) connection.close();
      for (const connection of lent) connection.close();
    },
  };
}
