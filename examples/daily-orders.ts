/**
 * A daily load of orders in three tasks. Shows dependencies, typed results, retries, and `ctx.once`: however often
 * a day is run again, its revenue is booked once.
 */
import { workflow } from 'signalbox';

interface Order {
  readonly id: number;
  readonly amount: number;
}

/** Stands for the shop's API: the same orders for the same day, whenever it is asked. */
function ordersOf(day: string): Order[] {
  const seed = Number(day.slice(0, 10).replaceAll('-', '')) || 1;
  return Array.from({ length: 25 }, (_, index) => ({
    id: seed * 100 + index,
    amount: ((seed + index * 7_919) % 9_000) / 100 + 10,
  }));
}

export default workflow(
  'daily-orders',
  {
    description: 'Loads the orders of a day and books the revenue once.',
    schedule: '0 2 * * *',
    timezone: 'UTC',
    tags: ['example'],
    owners: ['data-platform'],
  },
  (w) => {
    const extract = w.task('extract', { retries: 3, retryDelay: '30s' }, async (ctx) => {
      const orders = ordersOf(ctx.dataInterval.start);
      ctx.log.info('orders fetched', { count: orders.length, day: ctx.dataInterval.start });
      return { day: ctx.dataInterval.start, orders };
    });

    const validate = w.task('validate', { after: [extract] }, async (ctx) => {
      const { orders } = await ctx.result(extract);
      const bad = orders.filter((order) => order.amount <= 0);
      if (bad.length > 0) throw new Error(`${bad.length} orders have no amount`);
      return { valid: orders.length };
    });

    w.task('book', { after: [validate], timeout: '1m' }, async (ctx) => {
      const { day, orders } = await ctx.result(extract);
      const revenue = orders.reduce((sum, order) => sum + order.amount, 0);
      return ctx.once(`revenue/${day}`, () => {
        ctx.log.info('revenue booked', { day, revenue });
        return { day, revenue: Math.round(revenue * 100) / 100 };
      });
    });
  },
);
