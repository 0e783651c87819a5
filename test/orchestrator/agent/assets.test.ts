import { asset, check } from 'signalbox';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isTerminalRun } from '../../../domain/run.ts';
import { type AgentStand, startAgentStand } from './stand.ts';

interface Row {
  readonly id: number;
}

let rows: Row[] = [];
const seen: Record<string, unknown>[] = [];
const notEmpty = check('not-empty', { blocking: true }, (value: readonly unknown[]) => ({
  passed: value.length > 0,
  metadata: { rows: value.length },
}));

const raw = asset('shop/raw_rows', { fallback: 'last-good', checks: [notEmpty] }, (ctx) => {
  ctx.record({ metadata: { source: 'test' }, eventTime: '2026-01-02T03:04:05Z' });
  return rows;
});
const clean = asset(
  'shop/clean_rows',
  { dependsOn: [raw], checks: { odd: { run: () => Promise.reject(new Error('cannot tell')) } } },
  async (ctx, inputs) => {
    seen.push({ ...inputs, degraded: ctx.degraded('raw') });
    return inputs['raw'];
  },
);
const named = asset('shop/named', { dependsOn: { upstream: clean } }, (_ctx, { upstream }) => {
  seen.push({ upstream });
  return null;
});
const lonely = asset('shop/lonely', { dependsOn: ['shop/nowhere'] }, () => 1);

let agents: AgentStand;

beforeAll(async () => {
  agents = await startAgentStand();
  await agents.start([raw, clean, named, lonely], { exportNames: { 'shop/raw_rows': 'raw' } });
});

afterAll(() => agents[Symbol.asyncDispose]());

async function materialize(...keys: string[]) {
  const { assets } = agents.stand.orchestrator;
  const run = await assets.materialize(keys, {}, { name: 'token:test' });
  return isTerminalRun(run.state) ? run : agents.ended(run.id);
}

describe('an asset', () => {
  it('reads what it depends on under the name of its export, of its key, and of its own', async () => {
    rows = [{ id: 1 }];
    const run = await materialize('shop/raw_rows', 'shop/clean_rows', 'shop/named');
    expect(run.state).toBe('succeeded');
    expect(seen).toEqual([
      { raw: rows, raw_rows: rows, 'shop/raw_rows': rows, degraded: false },
      { upstream: rows },
    ]);
  });

  it('records what its code says of the version, and what its checks said', async () => {
    const found = await agents.stand.orchestrator.assets.get('shop/raw_rows');
    expect(found.lastMaterialization).toMatchObject({
      at: '2026-01-02T03:04:05.000Z',
      provenance: 'computed',
      metadata: { source: 'test' },
    });
    expect(found.checks).toEqual([expect.objectContaining({ name: 'not-empty', passed: true })]);
    const { checks } = await agents.stand.orchestrator.assets.get('shop/clean_rows');
    expect(checks).toEqual([
      expect.objectContaining({ name: 'odd', passed: false, blocking: false }),
    ]);
  });

  it('is refused by a blocking check, and those after it read the last good version', async () => {
    rows = [];
    const run = await materialize('shop/raw_rows');
    const [task] = await agents.stand.orchestrator.runs.tasks(run.id);
    expect(task?.error?.message ?? run.error?.message).toMatch(/not-empty/);
    seen.length = 0;
    await materialize('shop/clean_rows');
    expect(seen).toEqual([expect.objectContaining({ raw: [{ id: 1 }], degraded: false })]);
  });

  it('is told when what it reads is a fallback', async () => {
    await agents.stand.orchestrator.levers.assets.serveFallback(
      'shop/raw_rows',
      'the source is down',
      'key',
    );
    seen.length = 0;
    await materialize('shop/clean_rows');
    expect(seen).toEqual([expect.objectContaining({ raw: [{ id: 1 }], degraded: true })]);
  });

  it('says which upstream has no value yet', async () => {
    const run = await materialize('shop/lonely');
    expect(run.error?.message).toMatch(/shop\/nowhere, which it depends on, has no value yet/);
  });
});
