/** A PostgreSQL of a test's own with few connections, so that it can be filled. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import pg from 'pg';
import type { PostgresProcessMessage } from '../../support/postgres-process.ts';

export const MAX_CONNECTIONS = 20;

export interface SmallPostgres extends AsyncDisposable {
  /** Superuser: may use the reserved slots. */
  readonly url: string;
  /** The same server as another role, which is made without rights. */
  roleUrl(role: string): Promise<string>;
  /** Connects as `role` until the server takes no more. */
  fill(url: string, application: string): Promise<pg.Client[]>;
}

/** Starts it; the whole server ends with the test. */
export async function startSmallPostgres(): Promise<SmallPostgres> {
  const main = new URL('../../support/postgres-process.ts', import.meta.url);
  const child = fork(main, [String(MAX_CONNECTIONS)], { execArgv: [] });
  const [message] = (await once(child, 'message')) as [PostgresProcessMessage];
  if ('error' in message) throw new Error(message.error);
  const { url } = message;
  return {
    url,
    async roleUrl(role) {
      const admin = new pg.Client({ connectionString: url });
      await admin.connect();
      await admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'test'`);
      await admin.end();
      return url.replace('postgres:test@', `${role}:test@`);
    },
    async fill(roleUrl, application) {
      const clients: pg.Client[] = [];
      for (;;) {
        const client = new pg.Client({ connectionString: roleUrl, application_name: application });
        client.on('error', () => undefined);
        try {
          await client.connect();
        } catch {
          return clients;
        }
        clients.push(client);
      }
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null) return;
      child.disconnect();
      await once(child, 'exit');
    },
  };
}
