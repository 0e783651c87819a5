/**
 * A job with a leak, in a process of its own: it opens a connection, begins a transaction, reads, and forgets
 * both. Arguments: connection string, most connections, milliseconds between two.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { endWithParent } from '../children.ts';

const [url = '', most = '95', everyMs = '250'] = process.argv.slice(2);
endWithParent();
const held = new Set<pg.Client>();

async function leakOne(): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: 'nightly-sync' });
  client.on('error', () => held.delete(client));
  client.on('end', () => held.delete(client));
  try {
    await client.connect();
    await client.query('begin');
    await client.query('select sum(amount) from orders');
    held.add(client);
  } catch {
    // The server refuses it: too many connections. A leaking job tries again, and so does this one.
    await client.end().catch(() => {});
  }
}

console.log('leaking');
for (;;) {
  if (held.size < Number(most)) await leakOne();
  await delay(Number(everyMs));
}
