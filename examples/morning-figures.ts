/**
 * Assets that say themselves when they are to be made, with no schedule that has to guess: orders come in when the
 * shop reports them, revenue follows at once, and the morning's figures are made once a day, as soon as everything is
 * there. Try
 *
 *   curl -X POST …/api/v1/assets/example%2Fshop_orders/materializations -d '{}'
 *   npx signalbox assets automation example/shop_revenue
 *   npx signalbox assets automation example/morning_figures --history
 *   npx signalbox assets list        # says what is held back, since when, and why
 */
import {
  all,
  any,
  anyUpstreamCheckFailed,
  asset,
  codeVersionChanged,
  eager,
  not,
  observe,
  onCron,
} from 'signalbox';

/** Written by the shop's own system, which reports each load (or is looked at each quarter of an hour). */
export const shopOrders = observe('example/shop_orders', { every: '15m' }, () => ({
  dataVersion: ordersInShop(),
}));

/** Stands for a count of rows in the shop's database. */
function ordersInShop(): string {
  return 'orders-1';
}

/** Made whenever orders have changed. */
export const revenue = asset(
  'example/shop_revenue',
  {
    description: 'Revenue by day, always up to date.',
    dependsOn: [shopOrders],
    automation: eager(),
    checks: { positive: { run: ({ total }) => total > 0 } },
  },
  () => ({ total: 1_250 }),
);

/** Made after revenue, also when its own code was changed; not from figures that a check has refused. */
export const forecast = asset(
  'example/forecast',
  {
    description: 'Next week, out of the revenue so far.',
    dependsOn: { revenue },
    automation: all(any(eager(), codeVersionChanged()), not(anyUpstreamCheckFailed())),
  },
  (_ctx, inputs) => ({ nextWeek: inputs.revenue.total * 1.02 }),
);

/** Made once each morning, when all of it was updated since six; told when that has not happened by ten. */
export const morningFigures = asset(
  'example/morning_figures',
  {
    description: 'What the management reads at nine.',
    owners: ['finance'],
    dependsOn: { revenue, forecast },
    automation: {
      condition: onCron('0 6 * * *', { timezone: 'Europe/Berlin' }),
      tellAfter: '4h',
    },
  },
  (_ctx, inputs) => ({ today: inputs.revenue.total, nextWeek: inputs.forecast.nextWeek }),
);
