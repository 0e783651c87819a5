/**
 * The user's own PostgreSQL in a drill: a real server with `max_connections = 100`, roles as a team has them,
 * and a side table that counts effects (without a unique index, so that it would show a doubled one).
 */
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { startChild } from '../supervise/child.ts';
import { usablePort } from '../supervise/free-port.ts';
import type { StartPostgres } from '../supervise/postgres-messages.ts';
import { serverModule } from './module-url.ts';

export const TARGET_MAX_CONNECTIONS = 100;
const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 10_000;

export interface TargetPostgres {
  /** Superuser: may use the reserved slots, for watching and for acting. */
  readonly monitorUrl: string;
  /** What the workflows connect as. */
  readonly workflowUrl: string;
  /** The job that leaks. */
  readonly leakUrl: string;
  /** A batch job that works honestly, but takes much. */
  readonly batchUrl: string;
  /** A superuser connection of the drill's own, kept open. */
  readonly admin: pg.Client;
  stop(): Promise<void>;
}

const SCHEMA = `
  create table effect (business_key text not null, run_id text not null, agent text not null, at timestamptz not null default clock_timestamp());
  create table orders (id int generated always as identity primary key, amount int not null);
  insert into orders (amount) select g % 100 from generate_series(1, 1000) g;
  grant all on all tables in schema public to workflow_app, leaky_app, batch_app;
  grant create, usage on schema public to workflow_app;
`;

export async function startTargetPostgres(directory: string): Promise<TargetPostgres> {
  const port = await usablePort('127.0.0.1', 0, '');
  const password = randomBytes(18).toString('base64url');
  const server = await startChild<unknown>({
    name: 'the PostgreSQL of the drill',
    module: fileURLToPath(serverModule('supervise/postgres-process')),
    args: [],
    env: process.env,
    logPath: `${directory}.log`,
    readyLimitMs: START_LIMIT_MS,
    stopLimitMs: STOP_LIMIT_MS,
    first: {
      ...{ directory, port, password, user: 'postgres', database: 'postgres' },
      settings: [`max_connections=${TARGET_MAX_CONNECTIONS}`],
    } satisfies StartPostgres,
  });
  const url = (role: string) => `postgres://${role}:${password}@127.0.0.1:${port}/postgres`;
  const admin = new pg.Client({ connectionString: url('postgres'), application_name: 'drill' });
  admin.on('error', () => {});
  await admin.connect();
  for (const role of ['workflow_app', 'leaky_app', 'batch_app']) {
    await admin.query(`create role ${role} login password '${password}'`);
  }
  await admin.query(SCHEMA);
  return {
    monitorUrl: url('postgres'),
    workflowUrl: url('workflow_app'),
    leakUrl: url('leaky_app'),
    batchUrl: url('batch_app'),
    admin,
    async stop() {
      await admin.end().catch(() => {});
      await server.stop();
    },
  };
}
