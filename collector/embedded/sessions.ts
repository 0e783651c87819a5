/**
 * Sessions: what a client's `session_id` keeps between its requests. Settings and the database are
 * kept here; for temporary tables of `writer` a connection of its own stays open. A session belongs to
 * one user: the same id given by the other user is another session.
 */
import type { User } from './access.ts';
import type { Engine } from './engine.ts';
import type { EngineConnection } from './engine-connection.ts';
import { exception } from './exceptions.ts';
import type { ProtocolRequest } from './request.ts';
import { setStatement } from './settings.ts';
import { quoteName } from './sql-text.ts';

/** For each of the two users, so that neither keeps the other out. */
const MAX_SESSIONS = 100;

/** What a request works with: of its session, or of its own. */
export interface SessionState {
  readonly isKept: boolean;
  /** Given by `SET`. */
  readonly settings: Map<string, string>;
  /** Given by `USE`. */
  database: string | undefined;
  /** A connection with the user's rights, these settings and this database. */
  connect(
    settings: ReadonlyMap<string, string>,
    database: string | undefined,
  ): Promise<EngineConnection>;
  /** Ends the request's use of it. */
  done(): void;
}

interface Session {
  readonly settings: Map<string, string>;
  database: string | undefined;
  connection: EngineConnection | undefined;
  /** Settings that the last request gave to the connection. */
  applied: readonly string[];
  isBusy: boolean;
  timer: NodeJS.Timeout | undefined;
}

/** The sessions of one server. */
export interface Sessions {
  /**
   * Opens a session, finds it again, or makes a state for one request.
   * @throws ClickHouseException SESSION_IS_LOCKED, SESSION_NOT_FOUND, TOO_MANY_SIMULTANEOUS_QUERIES
   */
  open(user: User, asked: ProtocolRequest['session']): SessionState;
  close(): void;
}

/** Makes the sessions of one server. */
export function makeSessions(engine: Engine): Sessions {
  const sessions = new Map<string, Session>();

  function end(key: string, session: Session): void {
    clearTimeout(session.timer);
    session.connection?.giveBack({ isUnchanged: false }).catch(() => undefined);
    sessions.delete(key);
  }

  function find(user: User, key: string, mustExist: boolean, id: string): Session {
    const known = sessions.get(key);
    if (known?.isBusy) {
      throw exception('SESSION_IS_LOCKED', `Session ${id} is locked by a concurrent client.`);
    }
    if (known) return known;
    if (mustExist) throw exception('SESSION_NOT_FOUND', `Session ${id} not found.`);
    const count = [...sessions.keys()].filter((other) => other.startsWith(user)).length;
    if (count >= MAX_SESSIONS) {
      throw exception(
        'TOO_MANY_SIMULTANEOUS_QUERIES',
        `Too many sessions. Maximum: ${MAX_SESSIONS}.`,
      );
    }
    const session = emptySession();
    sessions.set(key, session);
    return session;
  }

  return {
    open(user, asked) {
      if (!asked) return single(engine, user);
      const key = `${user} ${asked.id}`;
      const session = find(user, key, asked.mustExist, asked.id);
      clearTimeout(session.timer);
      session.isBusy = true;
      return {
        isKept: true,
        settings: session.settings,
        get database() {
          return session.database;
        },
        set database(name) {
          session.database = name;
        },
        // A reader has no temporary tables, so nothing of its session lives in the engine.
        connect: (settings, database) =>
          user === 'reader'
            ? engine.lend(user, preparation(settings, database))
            : connectKept(engine, session, settings, database),
        done() {
          session.isBusy = false;
          if (sessions.get(key) !== session) return;
          if (asked.closes) return end(key, session);
          session.timer = setTimeout(() => end(key, session), asked.timeoutSeconds * 1_000);
          session.timer.unref();
        },
      };
    },
    close() {
      for (const [key, session] of sessions) end(key, session);
    },
  };
}

function emptySession(): Session {
  return {
    settings: new Map(),
    database: undefined,
    connection: undefined,
    applied: [],
    isBusy: false,
    timer: undefined,
  };
}

function single(engine: Engine, user: User): SessionState {
  return {
    isKept: false,
    settings: new Map(),
    database: undefined,
    connect: (settings, database) => engine.lend(user, preparation(settings, database)),
    done: () => undefined,
  };
}

/** The session's own connection; settings of the last request are undone on it. */
async function connectKept(
  engine: Engine,
  session: Session,
  settings: ReadonlyMap<string, string>,
  database: string | undefined,
): Promise<EngineConnection> {
  session.connection ??= await engine.lend('writer', []);
  const connection = session.connection;
  const undo = session.applied
    .filter((name) => !settings.has(name))
    .map((name) => `SET ${name} = DEFAULT`);
  session.applied = [...settings.keys()].filter((name) => !name.startsWith('param_'));
  await connection.run(
    [...undo, ...preparation(settings, database ?? 'default')].join(';\n'),
    'TSV',
  );
  return { ...connection, giveBack: async () => undefined };
}

function preparation(
  settings: ReadonlyMap<string, string>,
  database: string | undefined,
): string[] {
  const statements = setStatement(settings);
  if (database !== undefined && database !== '') statements.push(`USE ${quoteName(database)}`);
  return statements;
}
