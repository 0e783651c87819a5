/**
 * A program outside that starts runs over HTTP without an idempotency key and asks again when no answer
 * comes: what makes duplicates of runs in the real world. Arguments: base URL, workflow, orders, tries.
 * The token is read from SIGNALBOX_TOKEN.
 */
import { endWithParent } from '../children.ts';

const [url = '', workflow = '', orders = '1', tries = '3'] = process.argv.slice(2);
endWithParent();
const ANSWER_LIMIT_MS = 700;

async function trigger(order: number, logicalDate: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/api/v1/workflows/${workflow}/runs`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${process.env.SIGNALBOX_TOKEN}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({ parameters: { order }, logicalDate }),
      signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
    });
    await response.text();
    return response.ok;
  } catch {
    return false;
  }
}

async function insist(order: number, logicalDate: string): Promise<void> {
  for (let attempt = 0; attempt < Number(tries); attempt++) {
    if (await trigger(order, logicalDate)) return;
  }
}

const logicalDate = `${new Date().toISOString().slice(0, 10)}T00:00:00Z`;
await Promise.all(
  Array.from({ length: Number(orders) }, (_, order) => insist(order + 1, logicalDate)),
);
console.log('triggered');
process.exit(0);
