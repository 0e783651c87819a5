/** The watched PostgreSQL servers: a sample of each every second, and the levers that reach them. */
import { SignalboxError } from '../../domain/errors.ts';
import type { PoolSample } from '../../domain/events.ts';
import type { Clock } from '../../domain/time.ts';
import { messageOf } from '../clickhouse/connection.ts';
import type { Collector } from '../service.ts';
import { type KeptConnection, keepConnection } from './kept-connection.ts';
import {
  changeRoleLimit,
  readBudget,
  readRoleLimit,
  readSessions,
  terminateSessions,
} from './postgres-levers.ts';
import { readConnections, toSample } from './postgres-sample.ts';

export interface WatchedPostgres {
  readonly name: string;
  /** `postgres://…`; its role needs `pg_monitor` to see all sessions, `pg_signal_backend` to end them, and CREATEROLE for limits. */
  readonly url: string;
}

export interface ServerProbeOptions {
  readonly servers: readonly WatchedPostgres[];
  readonly clock: Clock;
  record(samples: readonly PoolSample[]): Promise<void>;
  log(message: string): void;
  readonly everyMs?: number;
}

const SAMPLE_EVERY_MS = 1_000;

export type ServerProbes = ReturnType<typeof createServerProbes>;

/** Makes the probes; they connect and sample between `start` and `stop`. */
export function createServerProbes(options: ServerProbeOptions) {
  const connections = new Map(
    options.servers.map(({ name, url }) => [name, keepConnection(name, url)] as const),
  );
  const probes = [...connections].map(([name, connection]) => probe(name, connection, options));
  return {
    levers: leversOf(connections),
    start: () => {
      for (const each of probes) each.start();
    },
    async stop() {
      for (const each of probes) each.stop();
      await Promise.all([...connections.values()].map((connection) => connection.close()));
    },
  };
}

function probe(name: string, connection: KeptConnection, options: ServerProbeOptions) {
  let timer: NodeJS.Timeout | undefined;
  let busy = false;
  let failing = false;

  async function sample(): Promise<void> {
    // A server that answers slowly is asked again once it has answered, not more often.
    if (busy) return;
    busy = true;
    try {
      const seen = await connection.use(readConnections);
      await options.record([toSample(name, options.clock.now(), seen)]);
      if (failing) options.log(`the watched server ${name} answers again`);
      failing = false;
    } catch (error) {
      if (!failing) options.log(messageOf(error));
      failing = true;
    } finally {
      busy = false;
    }
  }

  return {
    start() {
      if (timer) return;
      timer = setInterval(() => void sample(), options.everyMs ?? SAMPLE_EVERY_MS);
      void sample();
    },
    stop() {
      clearInterval(timer);
      timer = undefined;
    },
  };
}

function leversOf(connections: ReadonlyMap<string, KeptConnection>): Collector['servers'] {
  const of = (server: string): KeptConnection => {
    const connection = connections.get(server);
    if (connection) return connection;
    const known = [...connections.keys()].join(', ') || 'none';
    throw new SignalboxError(
      'not-found',
      `no watched server is named ${server} (watched: ${known})`,
    );
  };
  return {
    list: () => [...connections.keys()],
    sessions: async (server) => readSessions(of(server)),
    terminate: async (server, sessions) => terminateSessions(of(server), sessions),
    roleConnectionLimit: async (server, role) => readRoleLimit(of(server), role),
    setRoleConnectionLimit: async (server, role, limit, expected) =>
      changeRoleLimit(of(server), role, limit, expected),
    budget: async (server, pools) => readBudget(of(server), server, pools),
  };
}
