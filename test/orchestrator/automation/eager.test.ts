/** Eager assets with everything real: PostgreSQL, events, an agent that makes them. */
import { asset, eager, externalAsset, missing, observe } from 'signalbox';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ACTOR, type AutomationStand, startAutomationStand } from './stand.ts';

let stand: AutomationStand;
beforeEach(async () => {
  stand = await startAutomationStand();
});
afterEach(() => stand[Symbol.asyncDispose]());

let made = 0;
const automation = eager();
const raw = asset('shop/raw', { automation }, () => ++made);
const clean = asset('shop/clean', { dependsOn: { raw }, automation }, (_ctx, inputs) => [
  inputs.raw,
]);
const report = asset('shop/report', { dependsOn: { clean }, automation }, (_ctx, inputs) => [
  inputs.clean,
]);

/** Looks until nothing of these is under way, and nothing is asked for. */
async function settled(...keys: readonly string[]): Promise<void> {
  let all: string[] = [];
  const done = () => all.every((summary) => summary === 'not requested: nothing calls for it');
  await stand
    .until('that all is made', async () => {
      all = await Promise.all(keys.map(async (key) => (await stand.of(key)).summary));
      return done();
    })
    .catch(() => expect(all).toEqual([]));
}

const versionsOf = async (key: string) =>
  (await stand.orchestrator.assets.materializations(key, {})).items;

describe('eager assets', () => {
  it('are made with all that lies below them by one run, in dependency order, and then nothing more is asked for', async () => {
    await stand.work(report, clean, raw);
    await stand.look();
    const [run] = await stand.runsOf('assets');
    expect((await stand.ended(run?.id ?? '')).state).toBe('succeeded');
    const tasks = await stand.orchestrator.runs.tasks(run?.id ?? '');
    expect(tasks.map(({ key, dependsOn }) => [key, dependsOn])).toEqual([
      ['shop/raw', []],
      ['shop/clean', ['shop/raw']],
      ['shop/report', ['shop/clean']],
    ]);
    await settled('shop/raw', 'shop/clean', 'shop/report');
    for (const key of ['shop/raw', 'shop/clean', 'shop/report']) {
      const found = await stand.of(key);
      expect([found.state, found.text]).toEqual(['idle', 'eager()']);
      expect(found.lastRequest?.runId).toBe(run?.id);
      expect(await versionsOf(key)).toHaveLength(1);
    }
    expect(await stand.runsOf('assets')).toHaveLength(1);
  });

  it('follow what people make by hand, each by one run more, and tell code what called for it', async () => {
    let told: unknown;
    const last = asset('shop/report', { dependsOn: { clean }, automation }, (ctx, inputs) => {
      told = ctx.trigger;
      return [inputs.clean];
    });
    await stand.work(raw, clean, last);
    await settled('shop/raw', 'shop/clean', 'shop/report');
    const run = await stand.orchestrator.assets.materialize(['shop/raw'], {}, ACTOR);
    await stand.ended(run.id);
    await stand.until('a second version', async () => (await versionsOf('shop/report')).length > 1);
    await settled('shop/raw', 'shop/clean', 'shop/report');
    expect(await versionsOf('shop/report')).toHaveLength(2);
    expect(await versionsOf('shop/raw')).toHaveLength(2);
    expect(told).toMatchObject({
      kind: 'automation',
      assets: [
        { asset: 'shop/clean', message: expect.stringMatching(/^shop\/raw was updated /) },
        { asset: 'shop/report', message: 'shop/clean is made in the same run' },
      ],
    });
  });

  it('count versions of other systems as updates: reported, observed anew, and of OpenLineage', async () => {
    const table = externalAsset('lake/table');
    const file = observe('lake/file', {}, () => ({ dataVersion: 'v0' }));
    const copy = asset('shop/copy', { dependsOn: [table, file], automation }, () => ++made);
    await stand.work(table, file, copy);
    await stand.look();
    expect((await stand.of('shop/copy')).reason).toMatchObject({
      code: 'upstream-missing',
      message: expect.stringMatching(
        /lake\/file was never made.*lake\/table is made elsewhere, and nobody has told/,
      ),
    });
    await stand.report('lake/table');
    const { quality, external } = stand.orchestrator;
    const seen = { dataVersion: 'v1' };
    await quality.reportObservation('lake/file', seen, ACTOR);
    await settled('shop/copy');
    expect(await versionsOf('shop/copy')).toHaveLength(1);
    await quality.reportObservation('lake/file', seen, ACTOR);
    await settled('shop/copy');
    expect(await versionsOf('shop/copy')).toHaveLength(1);
    await quality.reportObservation('lake/file', { dataVersion: 'v2' }, ACTOR);
    await stand.until('a version for it', async () => (await versionsOf('shop/copy')).length === 2);
    const at = Date.now();
    const run = { engine: 'airflow', externalId: 'r1', job: 'load', at, inputs: [], owners: [] };
    const output = { assetKey: 'lake/table', rowCount: 3, metadata: {}, checks: [] };
    await external.record([
      {
        ...{ ...run, state: 'succeeded', logicalDate: null, parameters: {}, parent: null },
        ...{ root: null, outputs: [output], error: null, businessKey: 'load' },
      },
    ]);
    await stand.until('a version for it', async () => (await versionsOf('shop/copy')).length === 3);
    await settled('shop/copy');
    expect((await stand.runsOf('shop/copy')).length).toBe(3);
  });

  it('are not asked for again when their run failed, which is told, until an upstream is updated or somebody retries', async () => {
    let fails = true;
    const flaky = asset('shop/flaky', { dependsOn: ['lake/in'], automation }, () => {
      if (fails) throw new Error('no disk');
      return ++made;
    });
    const below = asset('shop/below', { dependsOn: { flaky }, automation }, () => ++made);
    await stand.work(flaky, below);
    await stand.report('lake/in');
    const held = await stand.until('the failure', async () => {
      const found = await stand.of('shop/flaky');
      return found.reason?.code === 'run-failed' && found;
    });
    expect(held.summary).toMatch(/run .* failed \(no disk\): automation does not ask again/);
    const waiting = await stand.of('shop/below');
    expect(waiting.state).toBe('held');
    await stand.look();
    const runs = [...(await stand.runsOf('assets')), ...(await stand.runsOf('shop/flaky'))];
    expect(runs).toHaveLength(1);
    fails = false;
    await stand.orchestrator.runs.retry(runs[0]?.id ?? '', ACTOR);
    await settled('shop/flaky', 'shop/below');
    expect(await versionsOf('shop/flaky')).toHaveLength(1);
    expect(await versionsOf('shop/below')).toHaveLength(1);
    fails = true;
    await stand.report('lake/in');
    await stand.until('the second failure', async () => {
      return (await stand.of('shop/flaky')).reason?.code === 'run-failed';
    });
    fails = false;
    await stand.report('lake/in');
    await settled('shop/flaky', 'shop/below');
    expect(await versionsOf('shop/flaky')).toHaveLength(2);
  });

  it('lose no update that comes while they are in progress, and are made once more for it', async () => {
    let go: () => void = () => undefined;
    let begun = 0;
    const slow = asset('shop/slow', { dependsOn: ['lake/in'], automation }, async () => {
      begun += 1;
      await new Promise<void>((resolve) => {
        go = resolve;
      });
      return begun;
    });
    await stand.work(slow);
    await stand.report('lake/in');
    await stand.until('the first attempt', async () => begun === 1);
    await stand.report('lake/in');
    await stand.look();
    const waiting = await stand.of('shop/slow');
    expect([waiting.state, waiting.reason?.code]).toEqual(['held', 'in-progress']);
    expect(waiting.summary).toMatch(/^not requested: is in progress in run .* since 20/);
    go();
    await stand.until('the second attempt', async () => begun === 2);
    go();
    await settled('shop/slow');
    expect(await versionsOf('shop/slow')).toHaveLength(2);
  });

  it('whose condition is changed while they are in progress go by the new one, and asks for nothing twice', async () => {
    let go: () => void = () => undefined;
    let begun = 0;
    const code = async () => {
      begun += 1;
      await new Promise<void>((resolve) => {
        go = resolve;
      });
      return begun;
    };
    const first = asset('shop/slow', { dependsOn: ['lake/in'], automation }, code);
    await stand.work(first);
    await stand.report('lake/in');
    await stand.until('the first attempt', async () => begun === 1);
    await stand.register(
      asset('shop/slow', { dependsOn: ['lake/in'], automation: missing() }, code),
    );
    await stand.look();
    const changed = await stand.of('shop/slow');
    expect([changed.text, changed.reason?.code]).toEqual(['missing()', 'in-progress']);
    go();
    await settled('shop/slow');
    await stand.report('lake/in');
    await stand.look();
    expect(await versionsOf('shop/slow')).toHaveLength(1);
    await stand.register(asset('shop/slow', { dependsOn: ['lake/in'] }, code));
    await expect(stand.of('shop/slow')).rejects.toThrow('shop/slow has no automation');
  });

  it('of which an upstream is taken away go on with those that are left', async () => {
    const both = asset('shop/both', { dependsOn: ['lake/a', 'lake/b'], automation }, () => ++made);
    const one = asset('shop/both', { dependsOn: ['lake/a'], automation }, () => ++made);
    await stand.register(both);
    await stand.report('lake/a');
    await stand.look();
    expect((await stand.of('shop/both')).reason).toMatchObject({
      code: 'upstream-missing',
      upstream: 'lake/b',
    });
    await stand.work(one);
    await settled('shop/both');
    expect(await versionsOf('shop/both')).toHaveLength(1);
    await stand.report('lake/b');
    await stand.look();
    expect((await stand.of('shop/both')).state).toBe('idle');
  });
});
