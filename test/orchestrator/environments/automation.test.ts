/** Automation in a branch, which reads from production what it did not make. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { qualify } from '../../../domain/environment.ts';
import type { Definition } from '../../../orchestrator/define/definition.ts';
import { asset, eager, staticPartitions } from '../../../orchestrator/index.ts';
import { waitFor } from '../../support/wait-for.ts';
import { ACTOR, type EnvironmentStand, startEnvironments } from './stand.ts';

let stand: EnvironmentStand;
const automation = eager();
const partitions = staticPartitions(['eu', 'us']);
const raw = asset('shop/raw', {}, () => ({ rows: 1 }));
const regions = asset('shop/regions', { partitions }, () => 1);

/** What a branch changed, made from what it did not. */
function changed(): readonly Definition[] {
  return [
    asset('shop/clean', { dependsOn: { raw }, automation }, (_ctx, inputs) => inputs.raw),
    asset('shop/cut', { dependsOn: { regions }, partitions, automation }, () => 2),
  ];
}

const of = (environment: string, key: string) =>
  stand.base.stand.orchestrator.automation.get(qualify(environment, key));

const until = (what: string, look: () => Promise<boolean>) =>
  waitFor(
    async () => {
      await stand.base.stand.reconcile('automation');
      return look();
    },
    { what, timeoutMs: 15_000 },
  );

const madeIn = async (environment: string, key: string) => {
  const { assets } = stand.base.stand.orchestrator;
  return (await assets.materializations(qualify(environment, key), {})).items.length;
};

beforeAll(async () => {
  stand = await startEnvironments();
  await stand.agent(null, [raw, regions]);
  await stand.make(null, 'shop/raw');
  const { assets } = stand.base.stand.orchestrator;
  const { runs } = await assets.materializePartitions(
    'shop/regions',
    { partitions: ['eu'] },
    ACTOR,
  );
  await Promise.all(runs.map(({ id }) => stand.base.ended(id)));
}, 60_000);
afterAll(() => stand[Symbol.asyncDispose]());

it('an eager asset of a branch is made once from what production has, and not again when that is made anew', async () => {
  await stand.create('pr-1', { settings: { triggers: true } });
  await stand.agent('pr-1', changed());
  await until('shop/clean of the branch', async () => (await madeIn('pr-1', 'shop/clean')) === 1);
  await until('the partition that production has', async () => {
    return (await madeIn('pr-1', 'shop/cut')) === 1;
  });
  const cut = await of('pr-1', 'shop/cut');
  expect(cut.reason?.message).toContain('shop/regions (partition us) was never made');
  await stand.make(null, 'shop/raw');
  await stand.base.stand.reconcile('automation');
  await until('that nothing calls for it', async () => {
    return (await of('pr-1', 'shop/clean')).reason?.code === 'nothing-new';
  });
  expect(await madeIn('pr-1', 'shop/clean')).toBe(1);
});

it('an eager asset of a branch that may not read from production waits, and says for what', async () => {
  await stand.create('pr-2', { settings: { triggers: true, fallback: false } });
  await stand.agent('pr-2', changed());
  await until('a look', async () => (await of('pr-2', 'shop/clean')).state === 'held');
  expect((await of('pr-2', 'shop/clean')).reason?.code).toBe('upstream-missing');
  expect(await madeIn('pr-2', 'shop/clean')).toBe(0);
});
