/**
 * Orders by day: each day is a partition that is made, fails and grows old by itself. Try
 *
 *   npx signalbox assets materialize example/daily_orders --from 2026-01-01 --to 2026-01-07
 *   npx signalbox assets partitions example/daily_orders
 *   npx signalbox assets materialize example/orders_trend --missing
 */
import { asset, check, daily, dep, monthly, timeWindow } from 'signalbox';

interface Order {
  readonly id: number;
  readonly country: string;
  readonly cents: number;
}

interface Day {
  readonly orders: number;
  readonly cents: number;
}

const days = daily({ start: '2026-01-01', timezone: 'Europe/Berlin' });
const COUNTRIES = ['de', 'fr', 'pl'];

/** Stands for the shop's database: what was ordered between two moments, the same each time it is asked. */
function ordersBetween(start: string, end: string): Order[] {
  const hours = Math.round((Date.parse(end) - Date.parse(start)) / 3_600_000);
  const day = Math.floor(Date.parse(start) / 86_400_000);
  return Array.from({ length: hours * 2 }, (_, index) => ({
    id: day * 100 + index,
    country: COUNTRIES[index % COUNTRIES.length] ?? 'de',
    cents: 500 + ((day * 31 + index * 17) % 97) * 100,
  }));
}

const notEmpty = check('not-empty', { blocking: true }, (orders: readonly unknown[]) => ({
  passed: orders.length > 0,
  metadata: { orders: orders.length },
}));

export const orders = asset(
  'example/daily_orders',
  {
    description: 'Orders of each day, as the shop has them.',
    partitions: days,
    schedule: '30 1 * * *',
    timezone: 'Europe/Berlin',
    // A day must be there nine hours after it is over.
    freshness: { warnAfter: '30h', failAfter: '33h' },
    retries: 3,
    retryDelay: ['10s', '1m', '10m'],
    checks: [notEmpty],
  },
  (ctx) => {
    const { start, end } = ctx.partition;
    const found = ordersBetween(start, end);
    ctx.log.info('orders read', { day: ctx.partitionKey, orders: found.length });
    ctx.record({ metadata: { orders: found.length } });
    return found;
  },
);

export const revenue = asset(
  'example/daily_revenue',
  { description: 'Revenue of each day.', partitions: days, dependsOn: { orders } },
  (_ctx, inputs): Day => ({
    orders: inputs.orders.length,
    cents: inputs.orders.reduce((sum, order) => sum + order.cents, 0),
  }),
);

/** A day against the six before it: a window of the upstream comes as an object by key. */
export const trend = asset(
  'example/orders_trend',
  {
    description: 'Revenue of each day against the mean of its last seven days.',
    partitions: days,
    dependsOn: { week: dep(revenue, timeWindow({ startOffset: -6, endOffset: 0 })) },
  },
  (ctx, inputs: { week: Record<string, Day> }) => {
    const cents = Object.values(inputs.week).map((day) => day.cents);
    const mean = cents.reduce((sum, one) => sum + one, 0) / cents.length;
    return { day: ctx.partitionKey, days: cents.length, change: (cents.at(-1) ?? 0) / mean - 1 };
  },
);

/** A month is made from its days; with `endOffset: 1` there is also the month in progress, of its days so far. */
export const months = asset(
  'example/monthly_revenue',
  {
    description: 'Revenue of each month.',
    partitions: monthly({ start: '2026-01-01', timezone: 'Europe/Berlin', endOffset: 1 }),
    dependsOn: { days: dep(revenue, timeWindow()) },
  },
  (ctx, inputs: { days: Record<string, Day> }) => ({
    month: ctx.partitionKey,
    days: Object.keys(inputs.days).length,
    cents: Object.values(inputs.days).reduce((sum, day) => sum + day.cents, 0),
  }),
);
