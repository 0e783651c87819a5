/**
 * Sales of all regions, each loaded by a task of its own into a schema that is there for the night only. Shows a list
 * that is known only when the run is under way (`map`), a branch, retries of chosen errors, and a teardown that runs
 * whatever became of the work.
 */
import { RetryLaterError, workflow } from 'signalbox';

interface Sale {
  readonly region: string;
  readonly amount: number;
}

/** Stands for the staging schema of a warehouse; memory does only because all tasks of `up` share one agent. */
const staging = new Map<string, Sale[]>();

/** Stands for the shop's API, which has its own opinion on how often it may be asked. */
async function fetchSales(region: string, day: string, attempt: number): Promise<Sale[]> {
  if (region === 'eu-north' && attempt === 1) {
    throw new RetryLaterError('the API asks to come back', { after: '50ms' });
  }
  const orders = 3 + ((Date.parse(day) / 86_400_000 + region.length) % 5);
  return Array.from({ length: orders }, (_, index) => ({ region, amount: 20 + index * 15 }));
}

export default workflow(
  'regional-sales',
  {
    description:
      'Loads the sales of each region side by side, and closes the month on its last day.',
    schedule: '30 3 * * *',
    timezone: 'UTC',
    tags: ['example'],
    owners: ['data-platform'],
  },
  (w) => {
    const schema = w.task('create-schema', { setup: true }, (ctx) => {
      const name = `night_${ctx.runId}`;
      staging.set(name, []);
      return name;
    });

    const load = w.group('load', { after: [schema] }, (g) => {
      const regions = g.task('regions', {}, () => ['eu-north', 'eu-south', 'us-east', 'us-west']);
      const sales = g.map(
        'sales',
        { over: regions, concurrency: 2, retries: 3, retryDelay: ['1s', '30s', '5m'] },
        async (ctx, region) => {
          const rows = await fetchSales(region, ctx.dataInterval.start, ctx.attempt);
          staging.get(await ctx.result(schema))?.push(...rows);
          ctx.log.info('loaded', { region, rows: rows.length });
          return { region, revenue: rows.reduce((sum, { amount }) => sum + amount, 0) };
        },
      );
      return { sales };
    });

    const kind = w.branch('kind-of-day', { after: [load] }, (ctx) => {
      const next = new Date(ctx.dataInterval.start);
      next.setUTCDate(next.getUTCDate() + 1);
      return next.getUTCDate() === 1 ? 'close-month' : 'daily-report';
    });

    const daily = w.task('daily-report', { after: [kind] }, async (ctx) => {
      const sales = await ctx.result(load.tasks.sales);
      return { total: sales.reduce((sum, { revenue }) => sum + revenue, 0) };
    });

    const month = w.task('close-month', { after: [kind] }, (ctx) =>
      ctx.once(`month/${ctx.dataInterval.start.slice(0, 7)}`, () => ({ closed: true })),
    );

    w.task(
      'announce',
      { after: [daily, month], triggerRule: 'none-failed-min-one-succeeded', allowFailure: true },
      (ctx) => ctx.log.info('the sales are there'),
    );

    w.task('drop-schema', { teardown: [schema], retries: 2 }, async (ctx) => {
      staging.delete(await ctx.result(schema));
    });
  },
);
