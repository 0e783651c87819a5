/** Workflows whose tasks work in the drill's PostgreSQL through a pool with a ceiling. */
import { postgresPool, workflow } from 'signalbox';

const orders = postgresPool('drill-orders', {
  connectionString: process.env.DRILL_DATABASE_URL ?? '',
  max: 10,
  server: 'drill-db',
});

/** Short and frequent: it fails at once where the server gives no connection. */
export const sumOrders = workflow('drill-sum-orders', { queue: 'drill-pool' }, (w) => {
  w.task('sum', { retries: 20, retryDelay: '500ms' }, async () => {
    const { rows } = await orders.query('select sum(amount)::int as total from orders');
    return { total: rows[0]?.total };
  });
});

/** Holds a connection at work for half a second. */
export const reportOrders = workflow('drill-report-orders', { queue: 'drill-pool' }, (w) => {
  w.task('report', { retries: 20, retryDelay: '500ms' }, async () => {
    const { rows } = await orders.query('select count(*)::int as n, pg_sleep(0.5) from orders');
    return { count: rows[0]?.n };
  });
});
