/**
 * Orders from a feed to a report: each step keeps its values where they belong, and thresholds look at them before
 * anybody reads them. Rows come as a stream, so a day of a million orders needs no more memory than one of ten.
 * `EXAMPLE_DIRECTORY` says where the files go. For tables, give `io: postgresTable({ connection })` or
 * `io: clickhouseTable({ url })` in their place.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  asset,
  check,
  duplicateRate,
  freshColumn,
  jsonFile,
  md,
  nullRate,
  observe,
  parquetFile,
  qualityScore,
  rowCount,
  rowCountChange,
  schemaUnchanged,
} from 'signalbox';

interface Order {
  readonly id: number;
  readonly customer: string | null;
  readonly amount: number;
  readonly at: string;
}

const directory = process.env.EXAMPLE_DIRECTORY ?? join(tmpdir(), 'signalbox-example');
const ORDERS = 2_000;

/** Stands for the shop's feed; some orders come twice, some without a customer. */
async function* feed(): AsyncGenerator<Order> {
  for (let index = 0; index < ORDERS; index += 1) {
    yield {
      id: index % 400 === 399 ? index - 1 : index,
      customer: index % 100 === 0 ? null : `customer-${index % 50}`,
      amount: ((index * 37) % 900) / 10 + 5,
      at: new Date(Date.now() - index * 1_000).toISOString(),
    };
  }
}

/** The feed is made elsewhere: look how new it is, without copying it. */
export const orderFeed = observe(
  'example/order_feed',
  { every: '5m', description: 'The feed of the shop.', freshness: { failAfter: '1h' } },
  async () => {
    const newest = await feed().next();
    return { eventTime: newest.done === true ? new Date(0) : newest.value.at };
  },
);

export const orders = asset(
  'example/orders',
  {
    description: 'Orders of the feed, as they came.',
    dependsOn: { orderFeed },
    io: parquetFile({ directory }),
    checks: [
      rowCount({ min: 1, blocking: true }),
      rowCountChange({ maxDrop: '20%' }),
      schemaUnchanged({ severity: 'warn', allowAdded: true }),
      duplicateRate({ columns: ['id'], max: '1%', blocking: true }),
      nullRate({ column: 'customer', max: '5%' }),
      freshColumn({ column: 'at', maxAge: '1h' }),
    ],
  },
  () => feed(),
);

export const revenue = asset(
  'example/revenue',
  {
    description: 'Revenue by customer.',
    dependsOn: { orders },
    io: jsonFile({ directory }),
    checks: [
      qualityScore({
        min: 0.9,
        score: (value: Record<string, number>) => {
          const amounts = Object.values(value);
          return amounts.filter((amount) => amount > 0).length / amounts.length;
        },
      }),
    ],
  },
  async (ctx, inputs) => {
    const seen = new Set<number>();
    const revenueOf: Record<string, number> = {};
    for await (const { id, customer, amount } of inputs.orders) {
      if (seen.has(id) || customer === null) continue;
      seen.add(id);
      revenueOf[customer] = (revenueOf[customer] ?? 0) + amount;
    }
    const best = Object.entries(revenueOf).sort(([, a], [, b]) => b - a)[0];
    ctx.record({ metadata: { orders: seen.size, best: md(`**${best?.[0]}**`) } });
    return revenueOf;
  },
);

/** A check that another team keeps in a file of its own; it runs with each version, and whenever it is asked for. */
export const plausible = check(
  'plausible',
  { asset: revenue, severity: 'warn' },
  (value: Record<string, number>) => ({
    passed: Object.values(value).every((amount) => amount < 100_000),
    metadata: { customers: Object.keys(value).length },
  }),
);
