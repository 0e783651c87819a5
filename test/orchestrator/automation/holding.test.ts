/** What is held back is told, pauses hold back, faults of one asset are its own; all of it is stored once. */
import { asset, daily, eager, onCron, onMissing } from 'signalbox';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { manualClock } from '../../../domain/time.ts';
import { ACTOR, type AutomationStand, startAutomationStand } from './stand.ts';

const HOUR = 3_600_000;
const START = Date.UTC(2026, 2, 10, 1);

let clock: ReturnType<typeof manualClock>;
let stand: AutomationStand;
beforeEach(async () => {
  clock = manualClock(START);
  stand = await startAutomationStand(clock);
});
afterEach(() => stand[Symbol.asyncDispose]());

const automation = eager();
const below = asset('h/below', { dependsOn: ['h/up'], automation }, () => 1);

/** Events of assets that were held back for too long. */
async function told(): Promise<readonly { assetKey: string; detail: Record<string, unknown> }[]> {
  const rows = await stand.stand.sql<{ events: string }>(
    `SELECT events FROM signalbox.event_batch WHERE kind = 'asset' ORDER BY xid, id`,
  );
  type Event = { type: string; assetKey: string; detail: string };
  return rows
    .flatMap(({ events }) => JSON.parse(events) as Event[])
    .filter(({ type }) => type === 'automation-held')
    .map(({ assetKey, detail }) => ({ assetKey, detail: JSON.parse(detail) }));
}

describe('an asset that is held back', () => {
  it('is shown so in lists at once, and told once when it has been for longer than it may', async () => {
    await stand.register(
      asset(
        'h/below',
        { dependsOn: ['h/up'], automation: { condition: automation, tellAfter: '2h' } },
        () => 1,
      ),
    );
    await stand.look();
    const { items } = await stand.orchestrator.assets.list({});
    expect(items.find(({ key }) => key === 'h/below')?.automation).toEqual({
      ...{ state: 'held', paused: false, held: 1, overdue: false },
      heldSince: '2026-03-10T01:00:00.000Z',
      reason: {
        ...{ code: 'upstream-missing', upstream: 'h/up' },
        message: 'waits: h/up is not known: nobody declares, makes or reports it',
      },
    });
    for (const hours of [1, 0.5]) {
      clock.advance(hours * HOUR);
      await stand.look();
      expect(await told()).toEqual([]);
    }
    clock.advance(HOUR);
    await stand.look();
    expect((await stand.of('h/below')).overdue).toBe(true);
    expect(await told()).toEqual([
      {
        assetKey: 'h/below',
        detail: {
          ...{ code: 'upstream-missing', upstream: 'h/up', heldFor: '150m' },
          heldSince: '2026-03-10T01:00:00.000Z',
          message: 'waits: h/up is not known: nobody declares, makes or reports it',
          summary:
            'held back since 2026-03-10 01:00:00 UTC: waits: h/up is not known: nobody declares, makes or reports it',
        },
      },
    ]);
    clock.advance(HOUR);
    await stand.look();
    expect(await told()).toHaveLength(1);
    await stand.report('h/up');
    await stand.look();
    const standing = await stand.of('h/below');
    expect([standing.state, standing.heldSince, standing.overdue]).toEqual([
      'requested',
      null,
      false,
    ]);
  });

  it('has a history of what was found, one entry for each time that something else was', async () => {
    await stand.register(below);
    for (let look = 0; look < 4; look += 1) {
      await stand.look();
      clock.advance(HOUR);
    }
    await stand.report('h/up');
    await stand.look();
    const { automation: history } = stand.orchestrator;
    const all = await history.evaluations('h/below', {});
    const [held, asked, ...later] = all.items.toReversed();
    expect([held?.decision, held?.reason.code, held?.at]).toEqual([
      ...['held', 'upstream-missing', '2026-03-10T01:00:00.000Z'],
    ]);
    expect(asked).toMatchObject({ decision: 'requested', runId: expect.any(String) });
    expect(later.map(({ reason }) => reason.code)).toEqual(later.map(() => 'in-progress'));
    const page = await history.evaluations('h/below', { limit: 1, decision: 'held' });
    expect(page).toEqual({ items: [held], nextCursor: null });
    const first = await history.evaluations('h/below', { limit: 1 });
    const rest = await history.evaluations('h/below', { cursor: first.nextCursor ?? '' });
    expect([...first.items, ...rest.items]).toEqual(all.items);
    expect(held?.condition).toMatchObject({
      ...{ kind: 'all', label: 'eager', met: false },
      of: [
        {
          ...{ kind: 'any', met: true },
          of: [
            { kind: 'newly-missing', met: true, detail: 'it was never made' },
            { kind: 'any-upstream-updated', met: false },
          ],
        },
        { kind: 'not', met: false, of: [{ kind: 'any-upstream-missing', met: true }] },
      ],
    });
  });
});

describe('a pause', () => {
  it('of an asset keeps it from being asked for, says who paused it, and is made good when it goes on', async () => {
    await stand.register(below);
    await stand.orchestrator.automation.setPaused('h/below', true, ACTOR);
    await stand.report('h/up');
    await stand.look();
    const paused = await stand.of('h/below');
    expect(paused.pause).toEqual({ at: '2026-03-10T01:00:00.000Z', by: 'token:ann', all: false });
    expect([paused.state, paused.paused, paused.reason?.code]).toEqual(['held', true, 'paused']);
    expect(await stand.runsOf('h/below')).toEqual([]);
    await stand.orchestrator.automation.setPaused('h/below', false, ACTOR);
    await stand.look();
    expect(await stand.runsOf('h/below')).toHaveLength(1);
  });

  it('of all automation holds back every asset, also one that is registered meanwhile', async () => {
    await stand.orchestrator.automation.setAllPaused(true, ACTOR);
    await stand.register(
      below,
      asset('h/other', { automation: onMissing() }, () => 1),
    );
    await stand.report('h/up');
    await stand.look();
    expect((await stand.of('h/other')).pause).toMatchObject({ by: 'token:ann', all: true });
    expect((await stand.orchestrator.runs.list({})).items).toEqual([]);
    await stand.orchestrator.automation.setAllPaused(false, ACTOR);
    await stand.look();
    expect((await stand.orchestrator.runs.list({})).items).toHaveLength(2);
  });

  it('of its workflow holds an asset back as well', async () => {
    await stand.register(below);
    await stand.report('h/up');
    await stand.orchestrator.workflows.setPaused('h/below', true, ACTOR);
    await stand.look();
    expect((await stand.of('h/below')).reason?.message).toContain('a pause of its workflow');
    expect(await stand.runsOf('h/below')).toEqual([]);
  });
});

describe('an asset that cannot be looked at', () => {
  it('says why, and does not keep others from being made', async () => {
    await stand.register(
      below,
      asset('h/other', { automation: onMissing() }, () => 1),
    );
    await stand.stand.sql(
      `UPDATE signalbox.asset_automation
       SET definition = jsonb_set(definition, '{condition}', '{"kind": "of-tomorrow"}') WHERE asset_key = 'h/below'`,
    );
    await stand.look();
    const broken = await stand.of('h/below');
    expect([broken.state, broken.error]).toEqual([
      'error',
      'of-tomorrow is no operand that is known here',
    ]);
    expect(broken.summary).toContain('could not be looked at');
    expect((await stand.of('h/other')).state).toBe('requested');
    await stand.register(asset('h/below', { automation: eager() }, () => 2));
    await stand.look();
    expect(await stand.of('h/below')).toMatchObject({ state: 'requested', error: null });
  });

  it('since its partitions cannot be told says so, and is told when that lasts too long', async () => {
    const days = asset(
      'h/days',
      {
        partitions: daily({ start: '2026-03-01' }),
        automation: { condition: automation, tellAfter: '2h' },
      },
      () => 1,
    );
    await stand.register(
      days,
      asset('h/other', { automation: onMissing() }, () => 1),
    );
    await stand.stand.sql(
      `UPDATE signalbox.asset SET partitions = jsonb_set(partitions, '{timezone}', '"Nowhere/City"') WHERE key = 'h/days'`,
    );
    await stand.look();
    expect((await stand.of('h/other')).state).toBe('requested');
    expect(await stand.of('h/days')).toMatchObject({
      ...{ state: 'error', error: expect.stringContaining('Nowhere/City'), overdue: false },
    });
    clock.advance(3 * HOUR);
    await stand.look();
    expect((await stand.of('h/days')).overdue).toBe(true);
    clock.advance(HOUR);
    await stand.look();
    expect(await told()).toMatchObject([{ assetKey: 'h/days', detail: { code: 'error' } }]);
  });

  it('is refused by its file when its condition is wrong, with the place of the fault', async () => {
    const definition = below.described;
    const bad = (condition: unknown) => ({
      ...definition,
      file: 'bad.ts',
      asset: definition.asset && { ...definition.asset, automation: { condition } as never },
    });
    const nest = (depth: number): unknown =>
      depth === 0 ? { kind: 'missing' } : { kind: 'not', of: nest(depth - 1) };
    for (const [condition, fault] of [
      [
        { kind: 'all', of: [{ kind: 'missing' }, { kind: 'some' }] },
        'automation.all[1]: "some" is no condition',
      ],
      [
        { kind: 'since', trigger: { kind: 'missing' } },
        'automation.since.reset: must be a condition',
      ],
      [{ kind: 'cron-tick', cron: '61 * * * *' }, 'automation: '],
      [nest(25), 'is deeper than 20 levels'],
      [
        { kind: 'any', of: Array.from({ length: 201 }, () => ({ kind: 'missing' })) },
        'has over 200 parts',
      ],
    ] as const) {
      await stand.orchestrator.workflows.register([bad(condition)], []);
      const [error] = await stand.orchestrator.workflows.fileErrors();
      expect(error?.message).toContain(fault);
    }
    await expect(stand.of('h/below')).rejects.toThrow('asset h/below');
  });
});

it('ticks that pass while nobody looks are one request', async () => {
  const hourly = asset('h/hourly', { automation: onCron('0 * * * *') }, () => 1);
  await stand.register(hourly);
  await stand.look();
  clock.advance(7 * HOUR);
  await stand.look();
  await stand.look();
  expect(await stand.runsOf('h/hourly')).toHaveLength(1);
});
