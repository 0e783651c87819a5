/**
 * Shops open and close: each is a partition of a list that grows while everything runs. A new shop's stock is counted
 * as soon as the shop is on the list, without anybody asking. Try
 *
 *   npx signalbox workflows trigger find-shops
 *   npx signalbox assets partitions example/shop_stock
 */
import { allPartitions, asset, dep, dynamicPartitions, eager, flow, onMissing } from 'signalbox';

const SHOPS = 'example-shops';

/** Stands for the shops' register; `EXAMPLE_SHOPS` names others. */
function openShops(): string[] {
  return (process.env.EXAMPLE_SHOPS ?? 'berlin,paris,warsaw').split(',');
}

export const findShops = flow(
  'find-shops',
  {
    description: 'Puts shops that opened on the list.',
    tags: ['example'],
    owners: ['retail'],
    schedule: '@hourly',
  },
  async (ctx) => {
    const shops = await ctx.step('read the register', openShops);
    await ctx.addPartitions(SHOPS, shops);
    return shops;
  },
);

export const stock = asset(
  'example/shop_stock',
  {
    description: 'Pieces in each shop.',
    partitions: dynamicPartitions(SHOPS),
    automation: onMissing(),
  },
  (ctx) => ({ shop: ctx.partitionKey, pieces: ctx.partitionKey.length * 100 }),
);

/** All partitions of an upstream come as an object by key: the shops that are on the list. */
export const total = asset(
  'example/total_stock',
  {
    description: 'Pieces in all shops.',
    dependsOn: { stock: dep(stock, allPartitions()) },
    automation: eager(),
  },
  (ctx, inputs: { stock: Record<string, { pieces: number }> }) => {
    const sum = Object.values(inputs.stock).reduce((all, { pieces }) => all + pieces, 0);
    ctx.record({ metadata: { pieces: sum } });
    return sum;
  },
);
