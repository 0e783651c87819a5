/** `onCron` on a real database, with a clock that tests move. */
import { asset, onCron } from 'signalbox';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { manualClock } from '../../../domain/time.ts';
import { type AutomationStand, startAutomationStand } from './stand.ts';

const HOUR = 3_600_000;
/** 05:00 in Berlin. */
const START = Date.UTC(2026, 2, 27, 4);
const automation = onCron('0 6 * * *', { timezone: 'Europe/Berlin' });
const report = asset('cron/report', { dependsOn: ['cron/a', 'cron/b'], automation }, () => 1);

let clock: ReturnType<typeof manualClock>;
let stand: AutomationStand;
beforeEach(async () => {
  clock = manualClock(START);
  stand = await startAutomationStand(clock);
  await stand.register(report);
  await stand.look();
});
afterEach(() => stand[Symbol.asyncDispose]());

/** Both upstreams are updated, and what was asked for is made. */
async function oneDay(): Promise<void> {
  for (const key of ['cron/a', 'cron/b']) await stand.report(key);
  await stand.look();
  await end();
}

/** The run under way ends as if it had made the asset. */
async function end(): Promise<void> {
  for (const run of await stand.runsOf('cron/report')) {
    if (run.finishedAt !== null) continue;
    await stand.report('cron/report');
    await stand.orchestrator.runs.cancel(run.id, 'the test made it', { name: 'token:test' });
  }
  await stand.look();
}

describe('an asset on a cron', () => {
  it('waits until all upstreams were updated since the tick, says for which, and is made once', async () => {
    expect((await stand.of('cron/report')).nextTickAt).toBe('2026-03-27T05:00:00.000Z');
    clock.advance(HOUR + 60_000);
    await stand.report('cron/a');
    await stand.look();
    const held = await stand.of('cron/report');
    expect(held.summary).toBe(
      'not requested: waits: not updated since the tick of 2026-03-27 05:00:00 UTC: cron/b is not known (held back since 2026-03-27 05:01:00 UTC)',
    );
    expect(await stand.runsOf('cron/report')).toEqual([]);
    clock.advance(HOUR);
    await stand.report('cron/b');
    await stand.look();
    const [run] = await stand.runsOf('cron/report');
    expect(run?.trigger).toBe('asset');
    await end();
    clock.advance(10 * HOUR);
    await oneDay();
    expect(await stand.runsOf('cron/report')).toHaveLength(1);
  });

  it('is looked at when its tick comes, though nothing else happens', async () => {
    for (const key of ['cron/a', 'cron/b']) await stand.report(key);
    await stand.look();
    expect((await stand.of('cron/report')).state).toBe('idle');
    clock.advance(HOUR);
    await stand.look();
    expect(await stand.of('cron/report')).toMatchObject({
      state: 'held',
      reason: { code: 'upstream-not-updated', upstream: 'cron/a' },
    });
  });

  it('is made once for each day over the night in which clocks change', async () => {
    for (let day = 0; day < 4; day += 1) {
      // Past six in Berlin on each of the days, whatever the offset is.
      clock.advance(day === 0 ? 2 * HOUR : 24 * HOUR);
      await oneDay();
    }
    const runs = await stand.runsOf('cron/report');
    expect(runs.map(({ createdAt }) => createdAt.slice(0, 10)).sort()).toEqual([
      '2026-03-27',
      '2026-03-28',
      '2026-03-29',
      '2026-03-30',
    ]);
  });

  it('is made once after clocks jumped forward by days, and not again after they jumped back', async () => {
    clock.advance(5 * 24 * HOUR);
    await oneDay();
    expect(await stand.runsOf('cron/report')).toHaveLength(1);
    clock.advance(-2 * 24 * HOUR);
    await oneDay();
    expect(await stand.runsOf('cron/report')).toHaveLength(1);
    // The day after is one of its own again.
    clock.advance(24 * HOUR);
    await oneDay();
    expect(await stand.runsOf('cron/report')).toHaveLength(2);
  });

  it('keeps what it waits for when the rest of its condition is changed, and forgets ticks of a new cron', async () => {
    clock.advance(HOUR + 60_000);
    await stand.look();
    const options = { timezone: 'Europe/Berlin', ignore: ['cron/b'] };
    await stand.register(
      asset(
        'cron/report',
        { dependsOn: ['cron/a', 'cron/b'], automation: onCron('0 6 * * *', options) },
        () => 1,
      ),
    );
    await stand.look();
    expect((await stand.of('cron/report')).reason?.message).toContain('cron/a');
    expect((await stand.of('cron/report')).reason?.message).not.toContain('cron/b');
    await stand.register(
      asset(
        'cron/report',
        { dependsOn: ['cron/a'], automation: onCron('30 5 * * *', options) },
        () => 1,
      ),
    );
    await stand.report('cron/a');
    await stand.look();
    expect((await stand.of('cron/report')).state).toBe('idle');
    expect(await stand.runsOf('cron/report')).toEqual([]);
  });
});
