/** One source, one raw asset, and 63 assets behind it in six levels. */
import { type Asset, asset } from 'signalbox';

interface Customers {
  readonly customers: readonly { id: number; country: string }[];
}

const policy = { warnAfter: '20s', failAfter: '40s' } as const;
const SOURCE_URL = process.env.DRILL_SOURCE_URL ?? 'http://127.0.0.1:1/customers';

export const raw = asset(
  'drill/raw_customers',
  {
    freshness: policy,
    critical: true,
    fallback: 'last-good',
    source: SOURCE_URL,
    queue: 'drill-assets',
  },
  async (ctx) => {
    const response = await fetch(SOURCE_URL, { signal: ctx.signal });
    if (!response.ok) throw new Error(`the source answered ${response.status}`);
    return (await response.json()) as Customers;
  },
);

/** A binary tree: each level has twice as many assets as the one above. */
function behind(parent: Asset, level: number, path: string): Asset[] {
  if (level === 0) return [];
  return ['a', 'b'].flatMap((side) => {
    const name = `${path}${side}`;
    const child = asset(
      `drill/customers_${name}`,
      { dependsOn: [parent], freshness: policy, critical: level === 6, queue: 'drill-assets' },
      async () => ({ name, rows: 50 }),
    );
    return [child, ...behind(child, level - 1, name)];
  });
}

export const mart = asset(
  'drill/customer_mart',
  { dependsOn: [raw], freshness: policy, queue: 'drill-assets' },
  async (_ctx, inputs) => ({ rows: (inputs.raw as Customers).customers.length }),
);

export const downstream = behind(mart, 5, '');
