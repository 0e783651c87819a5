/**
 * An honest batch job in a process of its own: all its connections are at work, more of them as its load
 * grows. Arguments: connection string, most connections, milliseconds between two.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { endWithParent } from '../children.ts';

const [url = '', most = '45', everyMs = '200'] = process.argv.slice(2);
endWithParent();

async function work(): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: 'batch-report' });
  client.on('error', () => {});
  await client.connect();
  for (;;) await client.query(`select count(*), pg_sleep(0.5) from orders`);
}

console.log('working');
for (let opened = 0; opened < Number(most); opened++) {
  work().catch(() => {});
  await delay(Number(everyMs));
}
