/**
 * Exports for customers: one at a time for each of them, so that two never write the same file, at most four side by
 * side, and the heavy part only on agents that were started with `--label disk=large`.
 */
import { workflow } from 'signalbox';

interface Row {
  readonly tenant: string;
  readonly amount: number;
}

export default workflow(
  'tenant-exports',
  {
    description: "Exports a customer's bookings; a newer export takes the place of one under way.",
    tags: ['example'],
    owners: ['data-platform'],
    maxActiveTasks: 4,
    concurrency: {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the server fills it from the run's parameters
      key: 'export-${parameters.tenant}',
      limit: 1,
      strategy: 'cancel-running',
    },
    parameters: {
      type: 'object',
      properties: { tenant: { type: 'string' } },
      required: ['tenant'],
    },
  },
  (w) => {
    // The warehouse bears two such queries, whoever asks.
    const rows = w.task('query', { maxActive: 2, retries: 2 }, (ctx): Row[] =>
      Array.from({ length: 3 }, (_, n) => ({ tenant: ctx.parameters.tenant, amount: n * 10 })),
    );
    w.task('write-archive', { after: [rows], requires: { disk: 'large' } }, async (ctx) => {
      const found = await ctx.result(rows);
      return { tenant: ctx.parameters.tenant, rows: found.length };
    });
  },
);
