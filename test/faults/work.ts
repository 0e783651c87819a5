/**
 * Work whose effects are counted in a database of its user's, or in a file: what must be there once, at most
 * once, or at least once. Tasks fail now and then and are tried again; a pool has fewer slots than work.
 */

/** Steps of each flow. */
const STEPS = 4;
export const POOL = 'narrow';
export const POOL_SLOTS = 4;

/** What each run's effects are called, and how often each may be there. */
export const EFFECTS = {
  graph: {
    first: 'once',
    plain: 'at-least-once',
    shared: 'at-most-once',
    pooled: 'once',
    'fails-first': 'once',
    join: 'once',
    last: 'once',
  },
  steps: Object.fromEntries(Array.from({ length: STEPS }, (_, step) => [`step-${step}`, 'once'])),
} as const satisfies Record<string, Record<string, 'once' | 'at-most-once' | 'at-least-once'>>;

/**
 * The text of a workflow file.
 * @param effectsUrl PostgreSQL with a table `effect (key text)`
 * @param effectsFile gets a line for what must be there at most once: an insert without a marker may have taken
 *   place although it throws, when its answer is lost with the user's PostgreSQL
 */
export function workflowFile(effectsUrl: string, effectsFile: string): string {
  return `
    import { appendFileSync } from 'node:fs';
    import pg from ${JSON.stringify(import.meta.resolve('pg'))};
    import { flow, onceIn, workflow } from 'signalbox';

    const pool = new pg.Pool({ connectionString: ${JSON.stringify(effectsUrl)}, max: 6 });
    pool.on('error', () => undefined);
    const add = (client, key) => client.query('INSERT INTO effect VALUES ($1)', [key]);
    const append = (key: string) => appendFileSync(${JSON.stringify(effectsFile)}, key + '\\n');
    const exactly = (key: string) => onceIn(pool, key, async (client) => { await add(client, key); });
    const keyOf = (ctx, name: string) => ctx.parameters.key + '/' + name;
    const again = { retries: 20, retryDelay: '50ms' };

    export const graph = workflow('graph', {}, (w) => {
      const first = w.task('first', again, (ctx) => exactly(keyOf(ctx, 'first')));
      const plain = w.task('plain', { ...again, after: [first] }, (ctx) => add(pool, keyOf(ctx, 'plain')).then(() => 1));
      const shared = w.task('shared', { ...again, after: [first] }, (ctx) =>
        ctx.once(keyOf(ctx, 'shared'), (key) => append(key), { onUnknown: 'stop' }));
      const pooled = w.task('pooled', { ...again, after: [first], pool: '${POOL}' }, (ctx) => exactly(keyOf(ctx, 'pooled')));
      const failing = w.task('fails-first', { ...again, after: [first] }, async (ctx) => {
        if (ctx.attempt === 1) throw new Error('it fails the first time');
        await exactly(keyOf(ctx, 'fails-first'));
      });
      const join = w.task('join', { ...again, after: [plain, pooled, failing] }, (ctx) => exactly(keyOf(ctx, 'join')));
      w.task('last', { ...again, after: [join] }, (ctx) => exactly(keyOf(ctx, 'last')));
    });

    export const steps = flow('steps', again, async (ctx) => {
      for (let step = 0; step < ${STEPS}; step += 1) {
        await ctx.step('step-' + step, () => exactly(keyOf(ctx, 'step-' + step)));
        if (step === 1) await ctx.sleep('pause', '100ms');
      }
    });`;
}
