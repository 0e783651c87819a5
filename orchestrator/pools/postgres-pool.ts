/**
 * A real `pg.Pool` whose ceiling can be moved while it works, and which tells how full it is. The server sets
 * ceilings (by the connection budget of a PostgreSQL), agents apply them here and report back in heartbeats.
 */
import pg from 'pg';
import {
  DefinitionError,
  durationMs,
  inDefinition,
  integer,
  name,
  optional,
  readOptions,
  text,
} from '../define/options.ts';
import { keepPool } from './registered.ts';
import { PoolTelemetry } from './telemetry.ts';

export interface PostgresPoolOptions {
  /** `postgres://user:password@host:port/database` */
  readonly connectionString: string;
  /** Connections at most, until a server sets another ceiling; 10 unless told. */
  readonly max?: number;
  /** Name of the PostgreSQL as Signalbox watches it, so that its budget counts this pool. */
  readonly server?: string;
  /** Longest wait for a connection; 30 s unless told. */
  readonly acquireTimeout?: string | number;
  /** Connections that nobody uses are closed after this time; 10 s unless told. */
  readonly idleTimeout?: string | number;
}

const ACQUIRE_TIMED_OUT = 'timeout exceeded when trying to connect';
const NO_LIMIT = Number.POSITIVE_INFINITY;

type ConnectCallback = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (release?: boolean | Error) => void,
) => void;

export class PostgresPool extends pg.Pool {
  readonly name: string;
  readonly server: string | null;
  /** Ceiling that the code declares. */
  readonly declaredMax: number;
  /** Times that somebody waited for a connection longer than the limit. */
  timeouts = 0;
  /** Its OpenTelemetry instruments. */
  readonly telemetry: PoolTelemetry;

  constructor(name: string, server: string | null, config: pg.PoolConfig & { max: number }) {
    super(config);
    this.name = name;
    this.server = server;
    this.declaredMax = config.max;
    this.telemetry = new PoolTelemetry(this);
    const takenAt = new WeakMap<object, number>();
    this.on('acquire', (client) => takenAt.set(client, performance.now()));
    this.on('release', (_error, client) => {
      const at = takenAt.get(client);
      if (at !== undefined) this.telemetry.used(performance.now() - at);
      this.#shrink();
    });
    // A connection that breaks in the hands of a task fails the task's next query; that says enough.
    this.on('connect', (client) => client.on('error', () => undefined));
    // An idle connection that breaks is replaced when one is needed; without a listener it ends the process.
    this.on('error', () => undefined);
  }

  /** Connections in the hands of tasks. */
  get usedCount(): number {
    return this.totalCount - this.idleCount;
  }

  get max(): number {
    return this.options.max;
  }

  /** Moves the ceiling. A lower one is reached as connections are given back; none is taken away from its user. */
  setMax(max: number): void {
    if (max === this.options.max) return;
    this.options.max = max;
    this.#shrink();
    void this.#closeIdle();
    this.#admitWaiting();
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: ConnectCallback): void;
  override connect(callback?: ConnectCallback): Promise<pg.PoolClient> | undefined {
    const startedAt = performance.now();
    const ended = (error: unknown) => {
      this.telemetry.waited(performance.now() - startedAt);
      if (error instanceof Error && error.message === ACQUIRE_TIMED_OUT) this.timeouts += 1;
    };
    if (callback) {
      super.connect((error, client, done) => {
        ended(error);
        callback(error, client, done);
      });
      return undefined;
    }
    return super.connect().then(
      (client) => {
        ended(undefined);
        return client;
      },
      (error: unknown) => {
        ended(error);
        throw error;
      },
    );
  }

  /** While there are too many, each connection that is given back is closed. */
  #shrink(): void {
    this.options.maxUses = this.totalCount > this.options.max ? 1 : NO_LIMIT;
  }

  async #closeIdle(): Promise<void> {
    while (this.idleCount > 0 && this.totalCount > this.options.max && !this.ending) {
      const client = await this.connect().catch(() => undefined);
      client?.release(true);
      if (client === undefined) return;
    }
  }

  /** The pool looks at its queue when a connection is given back; so open what is newly allowed, and give it back. */
  #admitWaiting(): void {
    const free = Math.min(this.options.max - this.totalCount, this.waitingCount);
    for (let opened = 0; opened < free; opened++) {
      this.connect().then(
        (client) => client.release(),
        () => undefined,
      );
    }
  }
}

/**
 * A pool of connections to a PostgreSQL of the user's. Asking twice for one name gives one pool.
 * @param name what the server and the console call it
 */
export function postgresPool(poolName: string, options: PostgresPoolOptions): PostgresPool {
  return inDefinition(`pool ${JSON.stringify(poolName)}`, () => {
    name(poolName);
    const read = readOptions(options, {
      connectionString: (value: unknown) => (value === '' ? '' : text(10_000)(value)),
      max: integer(1, 10_000, 10),
      server: optional(name),
      acquireTimeout: durationMs('30s'),
      idleTimeout: durationMs('10s'),
    });
    const make = () =>
      new PostgresPool(poolName, read.server, {
        connectionString: read.connectionString,
        max: read.max,
        connectionTimeoutMillis: read.acquireTimeout,
        idleTimeoutMillis: read.idleTimeout,
        application_name: `signalbox/${poolName}`,
        // Connections that nobody uses must not keep a process alive.
        allowExitOnIdle: true,
      });
    const settings = JSON.stringify(read);
    const pool = keepPool(poolName, settings, make);
    if (pool === null) {
      throw new DefinitionError('another pool of this name has other settings');
    }
    return pool;
  });
}
