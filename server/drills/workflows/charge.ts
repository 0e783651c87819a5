/** Charges an order: the effect is a row in the user's own PostgreSQL, written exactly once an order. */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { onceIn, workflow } from 'signalbox';

const PREPARE_MS = 6_000;
const SETTLE_MS = 1_500;

export const charge = workflow(
  'drill-charge',
  {
    queue: 'drill-charge',
    parameters: {
      type: 'object',
      properties: { order: { type: 'integer' } },
      required: ['order'],
      additionalProperties: false,
    },
  },
  (w) => {
    w.task('charge', { retries: 0 }, async (ctx) => {
      await delay(PREPARE_MS, undefined, { signal: ctx.signal });
      const key = `charge/${ctx.logicalDate}/${ctx.parameters.order}`;
      const client = new pg.Client({ connectionString: process.env.DRILL_DATABASE_URL });
      await client.connect();
      try {
        await onceIn(client, key, async () => {
          await client.query(
            'insert into effect (business_key, run_id, agent) values ($1, $2, $3)',
            [key, ctx.runId, String(process.pid)],
          );
          return { charged: true };
        });
      } finally {
        await client.end();
      }
      await delay(SETTLE_MS, undefined, { signal: ctx.signal });
      return { key };
    });
  },
);
