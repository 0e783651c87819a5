/**
 * Sessions: what a client's `session_id` keeps between its requests. Settings and the database are
 * kept here, for temporary tables of `writer` a connection stays open. A session belongs to one user:
 * the same id given by the other user is another session.
 */
import type { User } from './access.ts';
import type { Engine, EngineConnection } from './engine.ts';
import { exception } from './exceptions.ts';
import type { ProtocolRequest } from './request.ts';

const MAX_SESSIONS = 200;

/** What a request works with: of its session, or of its own. */
export interface SessionState {
  readonly connection: EngineConnection;
  /** True when nothing has run on the connection yet. */
  readonly isFresh: boolean;
  /** Given by `SET`. */
  readonly settings: Map<string, string>;
  /** Names of the settings that the last request set on the connection. */
  readonly applied: Set<string>;
  /** Given by `USE`. */
  database: string | undefined;
  /** Ends the request's use of it. */
  done(): void;
}

interface Session {
  readonly settings: Map<string, string>;
  readonly applied: Set<string>;
  database: string | undefined;
  connection: EngineConnection | undefined;
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

  function single(user: User): SessionState {
    const connection = engine.connect(user);
    const done = () => connection.close();
    return {
      connection,
      isFresh: true,
      settings: new Map(),
      applied: new Set(),
      database: undefined,
      done,
    };
  }

  function end(key: string, session: Session): void {
    clearTimeout(session.timer);
    session.connection?.close();
    sessions.delete(key);
  }

  function find(key: string, mustExist: boolean, id: string): Session {
    const known = sessions.get(key);
    if (known?.isBusy) {
      throw exception('SESSION_IS_LOCKED', `Session ${id} is locked by a concurrent client.`);
    }
    if (known) return known;
    if (mustExist) throw exception('SESSION_NOT_FOUND', `Session ${id} not found.`);
    if (sessions.size >= MAX_SESSIONS) {
      throw exception(
        'TOO_MANY_SIMULTANEOUS_QUERIES',
        `Too many sessions. Maximum: ${MAX_SESSIONS}.`,
      );
    }
    const session: Session = {
      settings: new Map(),
      applied: new Set(),
      database: undefined,
      connection: undefined,
      isBusy: false,
      timer: undefined,
    };
    sessions.set(key, session);
    return session;
  }

  return {
    open(user, asked) {
      if (!asked) return single(user);
      const key = `${user} ${asked.id}`;
      const session = find(key, asked.mustExist, asked.id);
      clearTimeout(session.timer);
      session.isBusy = true;
      const isFresh = session.connection === undefined;
      const connection = session.connection ?? engine.connect(user);
      // A reader has no temporary tables; each of its requests gets a connection that nobody had.
      if (user === 'writer') session.connection = connection;
      const done = () => {
        if (user === 'reader') connection.close();
        session.isBusy = false;
        if (sessions.get(key) !== session) return;
        session.timer = setTimeout(() => end(key, session), asked.timeoutSeconds * 1_000);
        session.timer.unref();
      };
      return {
        connection,
        isFresh,
        settings: session.settings,
        applied: user === 'reader' ? new Set() : session.applied,
        get database() {
          return session.database;
        },
        set database(name) {
          session.database = name;
        },
        done,
      };
    },
    close() {
      for (const [key, session] of sessions) end(key, session);
    },
  };
}
