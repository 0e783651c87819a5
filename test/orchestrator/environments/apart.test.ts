/** A branch beside production: the same names, other code, and nothing of the one in the other. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { qualify } from '../../../domain/environment.ts';
import type { Definition } from '../../../orchestrator/define/definition.ts';
import { asset, flow, onceIn, sensor, workflow } from '../../../orchestrator/index.ts';
import { waitFor } from '../../support/wait-for.ts';
import { ACTOR, type EnvironmentStand, startEnvironments } from './stand.ts';

let stand: EnvironmentStand;
let pool: pg.Pool;
const charged: string[] = [];
const computed: string[] = [];
const told: string[] = [];

/** Assets with callbacks, and one with a deadline. */
function watchedBy(where: string): readonly Definition[] {
  const watched = asset(
    'shop/watched',
    { sla: '2h', onSuccess: () => void told.push(`watched in ${where}`) },
    () => 1,
  );
  const sums = asset(
    'shop/sums',
    { dependsOn: { watched }, onSuccess: () => void told.push(`sums in ${where}`) },
    () => 2,
  );
  return [watched, sums];
}

/** The code as it is in production and in the branches. */
function codeOf(where: string): readonly Definition[] {
  const daily = workflow('daily', { schedule: '* * * * * *' }, (w) => {
    w.task('say', {}, (ctx) => ({ where, environment: ctx.environment }));
  });
  const charge = workflow('charge', {}, (w) => {
    w.task('pay', {}, (ctx) =>
      ctx.once('orders/2024-01-31', () => {
        charged.push(where);
        return where;
      }),
    );
  });
  const invoice = workflow('invoice', {}, (w) => {
    w.task('send', {}, () => onceIn(pool, 'invoice-7', () => where));
  });
  const cached = workflow('cached', {}, (w) => {
    w.task('slow', { cache: { key: () => 'same' } }, () => {
      computed.push(where);
      return where;
    });
  });
  const raw = asset('shop/raw', {}, () => ({ where }));
  const clean = asset('shop/clean', { dependsOn: { raw } }, (_ctx, inputs) => ({
    of: inputs.raw,
    where,
  }));
  const after = workflow('after', { on: [{ asset: raw }] }, (w) => {
    w.task('tell', {}, () => {
      told.push(where);
    });
  });
  const fails = workflow(
    'fails',
    {
      onFailure: () => {
        told.push(`failure in ${where}`);
      },
    },
    (w) => {
      w.task('break', {}, () => {
        throw new Error(`broken in ${where}`);
      });
    },
  );
  const asks = flow('asks', {}, (ctx) => ctx.waitForEvent('approved', { timeout: '10s' }));
  const parent = flow('parent', {}, async (ctx) => ctx.subflow('daily'));
  const looks = sensor('looks', { triggers: daily, every: '1s' }, () => {
    told.push(`look of ${where}`);
    return {};
  });
  return [
    daily,
    charge,
    invoice,
    cached,
    raw,
    clean,
    ...watchedBy(where),
    after,
    fails,
    asks,
    parent,
    looks,
  ];
}

beforeAll(async () => {
  stand = await startEnvironments();
  pool = new pg.Pool({ connectionString: stand.base.stand.postgres.url, max: 4 });
  await stand.agent(null, codeOf('production'));
  await stand.create('pr-1');
  await stand.create('pr-2');
  await stand.agent('pr-1', codeOf('pr-1'));
  await stand.agent('pr-2', codeOf('pr-2'));
});
afterAll(async () => {
  await pool.end();
  await stand[Symbol.asyncDispose]();
});

describe('A branch beside production', () => {
  it('runs the workflow of a name with the code of each environment, by its own agents', async () => {
    const results = [];
    for (const where of [null, 'pr-1', 'pr-2'] as const) {
      const run = await stand.run(where, 'daily');
      expect(run.error).toBeNull();
      results.push((await stand.base.results(run.id))['say']);
    }
    expect(results).toEqual([
      { where: 'production', environment: 'production' },
      { where: 'pr-1', environment: 'pr-1' },
      { where: 'pr-2', environment: 'pr-2' },
    ]);
  });

  it('does once in each what has one key of ctx.once', async () => {
    for (const where of [null, 'pr-1', 'pr-1', null, 'pr-2'] as const) {
      await stand.run(where, 'charge');
    }
    expect(charged).toEqual(['production', 'pr-1', 'pr-2']);
  });

  it('does once in each what has one key of onceIn, in the user’s own database', async () => {
    const sent = [];
    for (const where of ['pr-1', null, 'pr-1', null] as const) {
      const run = await stand.run(where, 'invoice');
      sent.push((await stand.base.results(run.id))['send']);
    }
    expect(sent).toEqual(['pr-1', 'production', 'pr-1', 'production']);
  });

  it('shares no cached result', async () => {
    for (const where of ['pr-1', null, 'pr-1', null] as const) {
      const run = await stand.run(where, 'cached');
      expect(await stand.base.results(run.id)).toEqual({ slow: where ?? 'production' });
    }
    expect(computed).toEqual(['pr-1', 'production']);
  });

  it('keeps versions of assets apart, each made from those of its own environment', async () => {
    const { assets } = stand.base.stand.orchestrator;
    await stand.make('pr-1', 'shop/clean', { upstream: true });
    await expect(assets.materializations('shop/clean', {})).resolves.toMatchObject({ items: [] });
    const run = await stand.make(null, 'shop/clean', { upstream: true });
    expect(await stand.base.results(run.id)).toEqual({
      'shop/raw': { where: 'production' },
      'shop/clean': { where: 'production', of: { where: 'production' } },
    });
    const ours = await assets.materializations(qualify('pr-1', 'shop/clean'), {});
    expect(ours.items).toHaveLength(1);
    expect(ours.items[0]?.inputs?.map(({ assetKey }) => assetKey)).toEqual([
      qualify('pr-1', 'shop/raw'),
    ]);
    const production = await assets.get('shop/clean');
    expect(production.lastMaterialization?.runId).toBe(run.id);
  });

  it('starts neither schedules nor sensors nor `on` of a branch by itself, and production’s not after a branch', async () => {
    const { workflows, sensors } = stand.base.stand.orchestrator;
    told.length = 0;
    await stand.make('pr-1', 'shop/raw');
    await stand.make(null, 'shop/raw');
    await stand.base.stand.reconcile('run-triggers');
    await waitFor(() => told.includes('production'), { what: 'production’s `on`' });
    expect(told.filter((one) => one.includes('pr-1'))).toEqual([]);
    expect((await workflows.get(qualify('pr-1', 'daily'))).paused).toBe(true);
    expect((await workflows.get('daily')).paused).toBe(false);
    expect((await sensors.get(qualify('pr-1', 'looks'))).paused).toBe(true);
    expect((await sensors.get('looks')).paused).toBe(false);
  });

  it('calls no callback of a branch unless that was asked for', async () => {
    told.length = 0;
    await stand.run('pr-1', 'fails');
    await stand.run(null, 'fails');
    await stand.base.stand.reconcile('callbacks');
    await waitFor(() => told.includes('failure in production'), { what: 'the callback' });
    expect(told).not.toContain('failure in pr-1');
  });

  it('calls callbacks of assets of a branch that asked for them, alone and together with others', async () => {
    await stand.create('pr-calls', { settings: { callbacks: true } });
    await stand.agent('pr-calls', codeOf('pr-calls'));
    const own = () => told.filter((one) => one.endsWith('in pr-calls'));
    const calls = async (count: number) => {
      await waitFor(
        async () => {
          await stand.base.stand.reconcile('callbacks');
          return own().length >= count;
        },
        { what: `${count} callbacks` },
      );
      return own().sort();
    };
    await stand.make('pr-calls', 'shop/watched');
    expect(await calls(1)).toEqual(['watched in pr-calls']);
    const both = await stand.make('pr-calls', 'shop/watched', { downstream: true });
    expect(both).toMatchObject({ workflow: qualify('pr-calls', 'assets'), state: 'succeeded' });
    expect(await calls(3)).toEqual([
      'sums in pr-calls',
      'watched in pr-calls',
      'watched in pr-calls',
    ]);
  });

  it('tells an event to flows of its own environment only', async () => {
    const { signals, runs } = stand.base.stand.orchestrator;
    const own = await runs.trigger(qualify('pr-1', 'asks'), {}, ACTOR);
    const base = await runs.trigger('asks', {}, ACTOR);
    await signals.send(null, { name: qualify('pr-1', 'approved'), body: 'branch' }, ACTOR);
    await stand.base.ended(own.run.id);
    expect(await stand.base.results(own.run.id)).toMatchObject({ flow: 'branch' });
    expect((await runs.get(base.run.id)).state).not.toBe('succeeded');
    await signals.send(null, { name: 'approved', body: 'production' }, ACTOR);
    await stand.base.ended(base.run.id);
    expect(await stand.base.results(base.run.id)).toMatchObject({ flow: 'production' });
  });

  it('starts subflows of the branch', async () => {
    const run = await stand.run('pr-2', 'parent');
    expect(run.error).toBeNull();
    const { items } = await stand.base.stand.orchestrator.runs.list({
      workflow: qualify('pr-2', 'daily'),
    });
    expect(items.some(({ parentRunId }) => parentRunId === run.id)).toBe(true);
  });
});
