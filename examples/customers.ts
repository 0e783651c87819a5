/**
 * Three assets in a row, each a function of those before it. Start with `EXAMPLE_SOURCE_DOWN=1` to see the source
 * fail: what lies below goes on from the last good version, and once that is older than the policy allows it is
 * served as a fallback, and shown as degraded with all that is made from it.
 */
import { asset, check } from 'signalbox';

interface Customer {
  readonly id: number;
  readonly email: string;
  readonly country: string;
}

const COUNTRIES = ['de', 'fr', 'pl', 'se'];

/** Stands for the system that customers come from. It has some of them twice. */
function fetchCustomers(): Customer[] {
  if (process.env.EXAMPLE_SOURCE_DOWN === '1') throw new Error('the source answered 503');
  return Array.from({ length: 40 }, (_, index) => {
    const id = index % 36;
    return { id, email: `customer-${id}@example.com`, country: COUNTRIES[id % 4] ?? 'de' };
  });
}

const notEmpty = check('not-empty', { blocking: true }, (rows: readonly unknown[]) => ({
  passed: rows.length > 0,
  metadata: { rows: rows.length },
}));

export const raw = asset(
  'example/raw_customers',
  {
    description: 'Customers as the source has them.',
    freshness: { warnAfter: '50m', failAfter: '60m' },
    owners: ['crm'],
    critical: true,
    fallback: 'last-good',
    retries: 2,
    retryDelay: '1s',
    checks: [notEmpty],
  },
  async (ctx) => {
    const customers = fetchCustomers();
    ctx.record({ metadata: { rows: customers.length } });
    return customers;
  },
);

export const clean = asset(
  'example/clean_customers',
  {
    description: 'Each customer once.',
    dependsOn: { raw },
    checks: {
      unique: {
        blocking: true,
        run: (rows: readonly Customer[]) => {
          const ids = new Set(rows.map((row) => row.id));
          return { passed: ids.size === rows.length, metadata: { share: ids.size / rows.length } };
        },
      },
    },
  },
  async (_ctx, inputs) => [...new Map(inputs.raw.map((row) => [row.id, row])).values()],
);

export const byCountry = asset(
  'example/customers_by_country',
  { description: 'Customers of each country.', dependsOn: { clean }, tags: ['example'] },
  async (_ctx, inputs) => {
    const groups = Map.groupBy(inputs.clean, (row) => row.country);
    return Object.fromEntries([...groups].map(([country, rows]) => [country, rows.length]));
  },
);
