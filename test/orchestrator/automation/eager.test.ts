import { asset, eager } from 'signalbox';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AutomationStand, startAutomationStand } from './stand.ts';

let stand: AutomationStand;
beforeEach(async () => {
  stand = await startAutomationStand();
});
afterEach(() => stand[Symbol.asyncDispose]());

let made = 0;
const raw = asset('shop/raw', { automation: eager() }, () => ++made);
const clean = asset(
  'shop/clean',
  { dependsOn: { raw }, automation: eager() },
  (_, { raw: value }) => [value],
);
const report = asset('shop/report', { dependsOn: { clean }, automation: eager() }, (_, inputs) => [
  inputs.clean,
]);

describe('an eager asset', () => {
  it('is made with all that lies below it by one run, in dependency order, and then nothing more is asked for', async () => {
    await stand.work(report, clean, raw);
    await stand.look();
    const [run, ...others] = await stand.runsOf('assets');
    expect(others).toEqual([]);
    expect(run?.trigger).toBe('asset');
    expect((await stand.ended(run?.id ?? '')).state).toBe('succeeded');
    const tasks = await stand.orchestrator.runs.tasks(run?.id ?? '');
    expect(tasks.map(({ key, dependsOn }) => [key, dependsOn])).toEqual([
      ['shop/raw', []],
      ['shop/clean', ['shop/raw']],
      ['shop/report', ['shop/clean']],
    ]);
    await stand.look();
    await stand.look();
    for (const key of ['shop/raw', 'shop/clean', 'shop/report']) {
      const found = await stand.of(key);
      expect([key, found.state, found.summary]).toEqual([
        key,
        'idle',
        'not requested: nothing calls for it',
      ]);
      expect(found.lastRequest?.runId).toBe(run?.id);
      expect(await stand.runsOf(key)).toEqual([]);
    }
    expect(await stand.runsOf('assets')).toHaveLength(1);
  });
});
