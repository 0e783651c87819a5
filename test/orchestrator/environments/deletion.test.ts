/** Environments given up: by hand, by time, while they work; nothing of them is left. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { qualify } from '../../../domain/environment.ts';
import type { Definition } from '../../../orchestrator/define/definition.ts';
import {
  asset,
  check,
  daily as daysFrom,
  dynamicPartitions,
  flow,
  sensor,
  workflow,
} from '../../../orchestrator/index.ts';
import { waitFor } from '../../support/wait-for.ts';
import { ACTOR, type EnvironmentStand, startEnvironments } from './stand.ts';

let stand: EnvironmentStand;
const aborted: string[] = [];
let working = 0;

function code(): readonly Definition[] {
  const daily = workflow(
    'daily',
    { schedule: '0 2 * * *', concurrency: { key: 'all', limit: 1, scope: 'global' } },
    (w) => {
      const first = w.task('first', { pool: 'warehouse', cache: { key: () => 'k' } }, (ctx) =>
        ctx.once('once', () => 1),
      );
      w.task('second', { after: [first] }, async (ctx) => {
        await ctx.artifact.markdown('report', '# report');
        await ctx.emit('done', { ok: true });
      });
    },
  );
  const durable = flow('durable', {}, async (ctx) => {
    await ctx.step('one', () => 1);
    return ctx.subflow('daily');
  });
  const long = workflow('long', {}, (w) => {
    w.task('wait', {}, (ctx) => {
      working += 1;
      return new Promise((_resolve, reject) => {
        ctx.signal.addEventListener('abort', () => {
          aborted.push(ctx.environment);
          reject(ctx.signal.reason);
        });
      });
    });
  });
  const raw = asset('shop/raw', { checks: [check('some', {}, () => ({ passed: true }))] }, () => ({
    n: 1,
  }));
  const days = asset(
    'shop/days',
    { dependsOn: { raw }, partitions: daysFrom({ start: '2024-01-01', end: '2024-01-04' }) },
    () => ({ n: 1 }),
  );
  const regions = asset('shop/regions', { partitions: dynamicPartitions('regions') }, () => 1);
  const after = workflow('after', { on: [{ asset: raw }] }, (w) => {
    w.task('tell', {}, () => 1);
  });
  const looks = sensor('looks', { triggers: daily, every: '1h' }, () => ({}));
  return [daily, durable, long, raw, days, regions, after, looks];
}

beforeAll(async () => {
  stand = await startEnvironments();
  await stand.base.stand.orchestrator.pools.set('warehouse', { max: 3 }, ACTOR);
  await stand.base.stand.orchestrator.assets.changeDynamicPartitions(
    'regions',
    { add: ['eu', 'us'] },
    ACTOR,
  );
  await stand.agent(null, code());
});
afterAll(() => stand[Symbol.asyncDispose]());

async function work(name: string): Promise<void> {
  const { orchestrator } = stand.base.stand;
  await stand.run(name, 'daily');
  await stand.run(name, 'durable');
  await stand.make(name, 'shop/raw');
  await stand.make(name, 'shop/days', { upstream: true });
  const eu = { partitions: ['eu'] };
  const made = await orchestrator.assets.materializePartitions(
    ...([qualify(name, 'shop/regions'), eu, ACTOR] as const),
  );
  await stand.base.ended(made.runs[0]?.id ?? '');
  await orchestrator.backfills.start(
    qualify(name, 'daily'),
    { from: '2024-01-01', to: '2024-01-03' },
    ACTOR,
  );
  await orchestrator.signals.send(null, { name: qualify(name, 'other'), body: 1 }, ACTOR);
  await orchestrator.queues.set(qualify(name, 'default'), { concurrency: 5 }, ACTOR);
}

describe('Deleting an environment', () => {
  it('leaves no row of it in any table, and none of production’s is gone', async () => {
    await stand.run(null, 'daily');
    await stand.make(null, 'shop/days', { upstream: true });
    const before = await stand.counts();
    await stand.create('pr-1');
    const agent = await stand.agent('pr-1', code());
    await work('pr-1');
    const during = await stand.counts();
    expect(during['run']).toBeGreaterThan(before['run'] ?? 0);
    const pools = await stand.base.stand.orchestrator.pools.list();
    expect(pools.find(({ name }) => name === qualify('pr-1', 'warehouse'))?.max).toBe(3);
    await stand.gone('pr-1');
    expect(await stand.counts()).toEqual(before);
    await expect(agent.ended).rejects.toThrow(/pr-1 (does not exist|is being deleted)/);
  });

  it('is as new under the same name afterwards', async () => {
    await stand.create('pr-1');
    await stand.agent('pr-1', code(), 'again');
    const run = await stand.run('pr-1', 'daily');
    expect(await stand.base.results(run.id)).toMatchObject({ first: 1 });
    const { items } = await stand.base.stand.orchestrator.runs.list({ environment: 'pr-1' });
    expect(items).toHaveLength(1);
    await stand.gone('pr-1');
  });

  it('cancels what runs, waits until its agents confirm it, and only then removes it', async () => {
    const before = await stand.counts();
    await stand.create('pr-2');
    await stand.agent('pr-2', code());
    const { orchestrator } = stand.base.stand;
    await orchestrator.runs.trigger(qualify('pr-2', 'long'), {}, ACTOR);
    await waitFor(() => working > 0, { what: 'the task' });
    await stand.gone('pr-2');
    expect(aborted).toEqual(['pr-2']);
    expect(await stand.counts()).toEqual(before);
  });

  it('goes on in another server where the first one stopped in the middle', async () => {
    await stand.create('pr-3');
    const agent = await stand.agent('pr-3', code());
    await stand.run('pr-3', 'daily');
    await agent.stop();
    const { orchestrator } = stand.base.stand;
    await orchestrator.environments.delete('pr-3', ACTOR);
    await expect(orchestrator.environments.save({ name: 'pr-3' }, ACTOR)).rejects.toMatchObject({
      code: 'conflict',
    });
    const other = await stand.base.stand.another();
    const step = other.reconcilers.find(({ name }) => name === 'environments');
    await waitFor(
      async () => {
        await step?.run();
        return (await other.environments.list({})).items.every(({ name }) => name !== 'pr-3');
      },
      { what: 'the deletion', timeoutMs: 10_000 },
    );
  });

  it('comes by itself when no agent was there for its time, and not while one is', async () => {
    const { sql, orchestrator } = stand.base.stand;
    await stand.create('pr-4', { expiresAfter: '1h' });
    await stand.create('pr-5', { expiresAfter: null });
    await stand.create('pr-6', { expiresAfter: '1h' });
    await stand.agent('pr-6', code());
    await sql(`UPDATE signalbox.environment SET last_seen_at = now() - interval '2 hours'`);
    const server = await stand.base.stand.another();
    const step = server.reconcilers.find(({ name }) => name === 'environments');
    await waitFor(
      async () => {
        await step?.run();
        return (await orchestrator.environments.list({})).items.every(
          ({ name }) => name !== 'pr-4',
        );
      },
      { what: 'the deletion', timeoutMs: 10_000 },
    );
    const { items } = await orchestrator.environments.list({});
    expect(items.map(({ name }) => name)).toEqual(['pr-5', 'pr-6']);
    expect(items[0]?.expiresAt).toBeNull();
  });
});

describe('The hot path', () => {
  it('has no column, no index and no trigger more for environments', async () => {
    const rows = await stand.base.stand.sql<{ name: string }>(
      `SELECT c.relname || '.' || a.attname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
       WHERE c.relname IN ('run', 'run_live', 'task_live', 'task_log', 'event_batch')
         AND a.attname ~ 'environment'`,
    );
    expect(rows).toEqual([]);
  });
});
