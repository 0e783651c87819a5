/**
 * Invoices of each day into a table, and from there into the ledger, exactly once each: `onceIn` writes its marker in
 * the transaction of the booking, so that no crash and no second run books an invoice twice, or not at all.
 *
 * Set `EXAMPLE_DATABASE_URL` to a PostgreSQL in which it may make the tables `invoices` and `ledger`, and try
 *
 *   npx signalbox assets materialize example/invoices --from 2026-01-02 --to 2026-01-03
 */
import {
  daily,
  externalAsset,
  onceIn,
  postgresPool,
  postgresTable,
  rowCount,
  workflow,
} from 'signalbox';

interface Invoice {
  readonly id: number;
  readonly customer: string;
  readonly cents: number;
}

/** Opens no connection before a task needs one; `signalbox pools` shows it, and sets its ceiling. */
const database = postgresPool('ledger', {
  connectionString: process.env.EXAMPLE_DATABASE_URL ?? 'postgres://localhost:5432/postgres',
  max: 4,
});

/** Stands for the shop's API: the same invoices for the same day, whenever it is asked. */
function invoicesOf(day: string): Invoice[] {
  const first = Number(day.replaceAll('-', '')) * 100;
  return Array.from({ length: 5 }, (_, index) => ({
    id: first + index,
    customer: `customer-${index % 7}`,
    cents: 1_000 + ((first + index) % 89) * 10,
  }));
}

/** Each day is a partition of the table, replaced as a whole when it is loaded again. */
export const invoices = externalAsset<Invoice[]>('example/invoices', {
  description: 'Invoices of each day, as the shop has them.',
  partitions: daily({ start: '2026-01-01' }),
  io: postgresTable({ connection: database, table: 'invoices', partitionColumn: 'day' }),
  checks: [rowCount({ min: 1, blocking: true })],
});

export default workflow(
  'ledger',
  {
    description: 'Loads the invoices of a day and books each of them once.',
    tags: ['example'],
    owners: ['finance'],
    schedule: '@daily',
  },
  (w) => {
    const load = w.task(
      'load',
      // Only what may be mended by waiting is tried again.
      { produces: [invoices], retries: 5, retryDelay: ['10s', '5m'], retryOn: ['ECONNREFUSED'] },
      (ctx) => invoicesOf(ctx.dataInterval.start.slice(0, 10)),
    );

    w.task('book', { after: [load], consumes: [invoices], retries: 3 }, async (ctx) => {
      await database.query(
        'CREATE TABLE IF NOT EXISTS ledger (invoice bigint, customer text, cents bigint)',
      );
      const day = await ctx.load(invoices, { partition: ctx.dataInterval.start.slice(0, 10) });
      for (const { id, customer, cents } of day) {
        await onceIn(database, `ledger/${id}`, (client) =>
          client.query('INSERT INTO ledger VALUES ($1, $2, $3)', [id, customer, cents]),
        );
      }
      return { booked: day.length };
    });
  },
);
