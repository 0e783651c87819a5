/** Data that is made elsewhere, above automated assets: what was observed anew is an update, what was not is none. */
import { asset, eager, externalAsset, observe, onCron } from 'signalbox';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { manualClock } from '../../../domain/time.ts';
import { ACTOR, type AutomationStand, startAutomationStand } from './stand.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const START = Date.UTC(2026, 2, 10, 5, 30);

let clock: ReturnType<typeof manualClock>;
let stand: AutomationStand;
let version: string | undefined;
let eventTime: string | undefined;
beforeEach(async () => {
  clock = manualClock(START);
  version = 'v1';
  eventTime = undefined;
  stand = await startAutomationStand(clock);
});
afterEach(() => stand[Symbol.asyncDispose]());

const file = observe('lake/file', {}, () => ({
  ...(version === undefined ? {} : { dataVersion: version }),
  ...(eventTime === undefined ? {} : { eventTime }),
}));
const eagerly = asset('shop/eagerly', { dependsOn: [file], automation: eager() }, () => 1);
const daily = asset('shop/daily', { dependsOn: [file], automation: onCron('0 6 * * *') }, () => 1);

/** Looks at the data, as the schedule of the observation would. */
async function observed(): Promise<void> {
  clock.advance(MINUTE);
  const { id } = await stand.orchestrator.assets.materialize(['lake/file'], {}, ACTOR);
  await stand.ended(id);
}

/** Versions of an asset, once nothing of it is under way or asked for. */
async function versionsOf(key: string): Promise<number> {
  await stand.until(`${key} to be settled`, async () => {
    const { state, reason } = await stand.of(key);
    return state !== 'requested' && reason?.code !== 'in-progress';
  });
  return (await stand.orchestrator.assets.materializations(key, {})).items.length;
}

describe('an observed source above an eager asset', () => {
  it('is an update where an observation has a new data version, and none where it is the same', async () => {
    await stand.work(file, eagerly);
    await stand.look();
    expect((await stand.of('shop/eagerly')).reason?.code).toBe('upstream-missing');
    await observed();
    expect(await versionsOf('shop/eagerly')).toBe(1);
    await observed();
    await observed();
    expect(await versionsOf('shop/eagerly')).toBe(1);
    version = 'v2';
    await observed();
    expect(await versionsOf('shop/eagerly')).toBe(2);
    const [run] = await stand.runsOf('shop/eagerly');
    const { lastRequest } = await stand.of('shop/eagerly');
    expect(lastRequest?.runId).toBe(run?.id);
  });

  it('is an update where nobody tells a version, and its event time is newer', async () => {
    version = undefined;
    eventTime = '2026-03-10T05:00:00Z';
    await stand.work(file, eagerly);
    await observed();
    expect(await versionsOf('shop/eagerly')).toBe(1);
    await observed();
    await observed();
    expect(await versionsOf('shop/eagerly')).toBe(1);
    eventTime = '2026-03-10T05:31:00Z';
    await observed();
    expect(await versionsOf('shop/eagerly')).toBe(2);
  });
});

describe('an observed source above an asset on a cron', () => {
  it('is waited for until a new data version is seen after the tick, and the asset says so', async () => {
    await stand.work(file, daily);
    await observed();
    await stand.look();
    clock.advance(HOUR);
    await observed();
    await stand.look();
    const waits = await stand.of('shop/daily');
    expect([waits.state, waits.reason?.code, waits.reason?.upstream]).toEqual([
      ...['held', 'upstream-not-updated', 'lake/file'],
    ]);
    // The data is as old as when it was seen first, however often it is looked at.
    expect(waits.reason?.message).toContain('lake/file was last updated 2026-03-10 05:31:00 UTC');
    version = 'v2';
    await observed();
    expect(await versionsOf('shop/daily')).toBe(1);
    await observed();
    expect(await versionsOf('shop/daily')).toBe(1);
  });
});

describe('an external asset above automated ones', () => {
  it('is an update for eager children and for those on a cron when a version, or an observation, is reported', async () => {
    const table = externalAsset('lake/table');
    const copy = asset('shop/copy', { dependsOn: [table], automation: eager() }, () => 1);
    const nightly = asset(
      'shop/nightly',
      { dependsOn: [table], automation: onCron('0 6 * * *') },
      () => 1,
    );
    await stand.work(table, copy, nightly);
    await stand.look();
    expect((await stand.of('shop/copy')).reason?.message).toContain(
      'lake/table is made elsewhere, and nobody has told of a version yet',
    );
    await stand.report('lake/table');
    expect(await versionsOf('shop/copy')).toBe(1);
    clock.advance(HOUR);
    await stand.look();
    expect((await stand.of('shop/nightly')).reason?.upstream).toBe('lake/table');
    const { quality } = stand.orchestrator;
    await quality.reportObservation('lake/table', { dataVersion: 'etag-2' }, ACTOR);
    expect(await versionsOf('shop/copy')).toBe(2);
    expect(await versionsOf('shop/nightly')).toBe(1);
    clock.advance(MINUTE);
    await quality.reportObservation('lake/table', { dataVersion: 'etag-2' }, ACTOR);
    expect(await versionsOf('shop/copy')).toBe(2);
    expect(await versionsOf('shop/nightly')).toBe(1);
  });
});
