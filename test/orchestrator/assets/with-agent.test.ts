/** Assets and schedules with everything real: PostgreSQL, the orchestrator, an agent that runs users' code. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Run, TERMINAL_RUN_STATES } from '../../../domain/run.ts';
import { systemClock } from '../../../domain/time.ts';
import { inProcessTransport } from '../../../orchestrator/agent/in-process-transport.ts';
import { type RunningAgent, startAgent } from '../../../orchestrator/agent/start.ts';
import { createOrchestrator } from '../../../orchestrator/create.ts';
import { definitionsOf } from '../../../orchestrator/define/registry.ts';
import { asset, workflow } from '../../../orchestrator/index.ts';
import type { Orchestrator } from '../../../orchestrator/service.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { waitFor } from '../../support/wait-for.ts';
import { ACTOR, startMigratedPostgres } from '../catalog/stand.ts';

let postgres: TestPostgres;
let orchestrator: Orchestrator;
let agent: RunningAgent;
let sourceUp = true;
let score = 1;
let fetched = 0;

const raw = asset(
  'shop/raw_orders',
  { critical: true, fallback: 'last-good', source: 'https://shop.example.org/orders' },
  async () => {
    if (!sourceUp) throw new Error('connection refused');
    fetched += 1;
    return { rows: fetched };
  },
);
const clean = asset(
  'shop/clean_orders',
  {
    dependsOn: [raw],
    checks: {
      quality: { blocking: true, run: () => ({ passed: score >= 0.9, metadata: { score } }) },
    },
  },
  async (_ctx, inputs) => ({ rows: (inputs['raw_orders'] as { rows: number }).rows * 10 }),
);
const report = asset('shop/report', { dependsOn: [clean] }, async (_ctx, inputs) => ({
  total: (inputs['clean_orders'] as { rows: number }).rows + 1,
}));
const ticking = workflow('ticking', { schedule: '* * * * * *' }, (w) => {
  w.task('only', {}, async (ctx) => ({
    start: ctx.dataInterval?.start,
    end: ctx.dataInterval?.end,
  }));
});

beforeAll(async () => {
  postgres = await startMigratedPostgres();
  orchestrator = await createOrchestrator({
    databaseUrl: postgres.url,
    clock: systemClock,
    log: () => {},
  });
  agent = startAgent({
    transport: inProcessTransport(orchestrator.agents),
    definitions: definitionsOf([raw, clean, report, ticking]),
    name: 'test-agent',
    queues: ['default'],
    concurrency: 8,
    log: () => {},
  });
  await waitFor(() => agent.sessionId());
});
afterAll(async () => {
  await agent.stop();
  await orchestrator.close();
  await postgres.stop();
});

async function ended(run: Run): Promise<Run> {
  return waitFor(async () => {
    const now = await orchestrator.runs.get(run.id);
    return TERMINAL_RUN_STATES.includes(now.state) && now;
  });
}

async function materializeAll(): Promise<Run> {
  const options = { downstream: true };
  return ended(await orchestrator.assets.materialize(['shop/raw_orders'], options, ACTOR));
}

async function freshness(): Promise<Record<string, string>> {
  const { items } = await orchestrator.assets.list({});
  return Object.fromEntries(items.map((item) => [item.key, item.freshness]));
}

describe('assets that an agent makes', () => {
  test('one run makes them in dependency order, each from what the one before returned', async () => {
    const run = await materializeAll();
    expect(run.state).toBe('succeeded');
    const tasks = await orchestrator.runs.tasks(run.id);
    expect(tasks.map((task) => [task.key, task.dependsOn, task.state])).toEqual([
      ['shop/raw_orders', [], 'succeeded'],
      ['shop/clean_orders', ['shop/raw_orders'], 'succeeded'],
      ['shop/report', ['shop/clean_orders'], 'succeeded'],
    ]);
    const { items } = await orchestrator.assets.materializations('shop/report', {});
    expect(items).toMatchObject([{ runId: run.id, provenance: 'computed' }]);
    expect(tasks[2]?.result).toEqual({ total: fetched * 10 + 1 });
    expect((await orchestrator.assets.get('shop/clean_orders')).checks).toMatchObject([
      { name: 'quality', passed: true, blocking: true },
    ]);
  });

  test('a source that is down leaves what it had; the fallback is degraded, and so is all made of it', async () => {
    sourceUp = false;
    const failed = await materializeAll();
    expect(failed.state).toBe('failed');
    expect((await orchestrator.runs.tasks(failed.id)).map((task) => task.state)).toEqual([
      'failed',
      'upstream-failed',
      'upstream-failed',
    ]);
    const { assets } = orchestrator.levers;
    const served = await assets.serveFallback('shop/raw_orders', 'source down', 'x/1');
    expect(served.outcome).toBe('done');
    const below = await assets.downstream('shop/raw_orders', 10);
    expect(below).toEqual(['shop/clean_orders', 'shop/report']);
    const rebuilt = await ended(await assets.materialize(below, 'x/2'));
    expect(rebuilt.state).toBe('succeeded');
    expect(await freshness()).toEqual({
      'shop/raw_orders': 'degraded',
      'shop/clean_orders': 'degraded',
      'shop/report': 'degraded',
    });
    sourceUp = true;
    expect((await materializeAll()).state).toBe('succeeded');
    expect(new Set(Object.values(await freshness()))).toEqual(new Set(['fresh']));
  });

  test('a blocking check that fails stops what lies below and keeps the last good version', async () => {
    score = 0.5;
    const before = await orchestrator.assets.get('shop/clean_orders');
    const run = await materializeAll();
    score = 1;
    expect(run.state).toBe('failed');
    expect((await orchestrator.runs.tasks(run.id)).map((task) => task.state)).toEqual([
      'succeeded',
      'failed',
      'upstream-failed',
    ]);
    const after = await orchestrator.assets.get('shop/clean_orders');
    expect(after.lastMaterialization?.id).toBe(before.lastMaterialization?.id);
    expect(after.checks).toMatchObject([{ name: 'quality', passed: false }]);
  });

  test('the events that ClickHouse gets tell what failed, why, and of which source', async () => {
    // Events are readable once no older transaction is under way.
    const assetEvents = await waitFor(async () => {
      const read = await orchestrator.events.readAfter(null, 10_000);
      return read.assetEvents.some((event) => event.type === 'check-failed') && read.assetEvents;
    });
    const failed = assetEvents.find(
      (event) => event.type === 'failed' && event.assetKey === 'shop/raw_orders',
    );
    expect(JSON.parse(failed?.detail ?? '{}')).toMatchObject({
      error: { message: 'connection refused' },
      source: 'https://shop.example.org/orders',
      critical: true,
    });
    const types = new Set(assetEvents.map((event) => event.type));
    expect(types).toEqual(
      new Set(['materialized', 'failed', 'fallback-served', 'check-passed', 'check-failed']),
    );
  });
});

test('a schedule of seconds is run by the agent with its data interval', async () => {
  const scheduler = orchestrator.reconcilers.find((each) => each.name === 'scheduler');
  await scheduler?.run();
  const run = await waitFor(async () => {
    const { items } = await orchestrator.runs.list({ workflow: 'ticking', state: 'succeeded' });
    return items[0];
  });
  expect(run.trigger).toBe('schedule');
  const [task] = await orchestrator.runs.tasks(run.id);
  expect(task?.result).toEqual(run.dataInterval);
  expect(run.logicalDate).toBe(run.dataInterval?.start);
  await orchestrator.workflows.setPaused('ticking', true, ACTOR);
});
