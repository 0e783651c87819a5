import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Backfill } from '../../../domain/backfill.ts';
import type { Orchestrator } from '../../../orchestrator/service.ts';
import { waitFor } from '../../support/wait-for.ts';
import {
  chain,
  type HandAgent,
  registerAgent,
  type Stand,
  startStand,
  workflow,
} from '../dispatch/stand.ts';

const ACTOR = { name: 'token:test' };
const DAILY = { cron: '0 2 * * *', timezone: 'Europe/Berlin', catchup: false };
const JANUARY = { from: '2026-01-01', to: '2026-01-31' };

let stand: Stand;
let agent: HandAgent;
let orchestrator: Orchestrator;

beforeEach(async () => {
  stand = await startStand();
  orchestrator = stand.orchestrator;
  agent = await registerAgent(orchestrator, {
    definitions: [
      workflow('daily', chain(1), { schedule: DAILY, maxActiveRuns: 1 }),
      workflow('by-hand', chain(1)),
      workflow('typed', chain(1), {
        parameters: { type: 'object', properties: { n: { type: 'integer', default: 3 } } },
      }),
    ],
  });
});

afterEach(() => stand[Symbol.asyncDispose]());

function start(name: string, request: Parameters<Orchestrator['backfills']['start']>[1]) {
  return orchestrator.backfills.start(name, request, ACTOR).then(({ backfill }) => backfill);
}

/** Does what can be claimed, until nothing comes any more. @returns logical dates in order */
async function workOff(id: string, fail: ReadonlySet<string> = new Set()): Promise<string[]> {
  const dates: string[] = [];
  while (true) {
    const claimed = await agent.claim(100);
    for (const one of claimed) {
      const date = one.logicalDate ?? '';
      dates.push(date);
      if (fail.has(date.slice(0, 10))) await agent.fail(one, { final: true });
      else await agent.succeed(one);
    }
    await stand.reconcile('backfills');
    const backfill = await orchestrator.backfills.get(id);
    if (claimed.length === 0 && backfill.counts.running === 0) return dates;
  }
}

const doneOf = ({ state, counts }: Backfill) => ({ state, ...counts });

describe('a backfill', () => {
  it('of 1 to 31 January of a daily schedule is 31 runs, each for its day, in the timezone of the schedule', async () => {
    const plan = await orchestrator.backfills.plan('daily', JANUARY);
    expect(plan).toMatchObject({ toRun: 31, toSkip: 0, notOver: 0 });
    expect(plan.items[0]).toEqual({
      key: '2026-01-01T01:00:00.000Z',
      logicalDate: '2026-01-01T01:00:00.000Z',
      dataInterval: { start: '2026-01-01T01:00:00.000Z', end: '2026-01-02T01:00:00.000Z' },
      partition: null,
      action: 'run',
      existing: null,
    });
    expect(await stand.sql('SELECT FROM signalbox.run')).toHaveLength(0);
    const backfill = await start('daily', { ...JANUARY, concurrency: 10 });
    const dates = await workOff(backfill.id);
    expect(dates).toHaveLength(31);
    expect(dates.at(-1)).toBe('2026-01-31T01:00:00.000Z');
    expect(doneOf(await orchestrator.backfills.get(backfill.id))).toMatchObject({
      state: 'succeeded',
      succeeded: 31,
      pending: 0,
    });
    const [run] = (await orchestrator.runs.list({ workflow: 'daily' })).items;
    expect(run).toMatchObject({
      trigger: 'backfill',
      priority: -10,
      dataInterval: { start: '2026-01-31T01:00:00.000Z', end: '2026-02-01T01:00:00.000Z' },
    });
  });

  it('runs so many at a time, oldest first or newest first, whatever maxActiveRuns says, and leaves room for the schedule', async () => {
    const backfill = await start('daily', {
      ...JANUARY,
      concurrency: 3,
      order: 'newest-first',
    });
    await stand.reconcile('backfills');
    expect(backfill.counts).toMatchObject({ running: 3, pending: 28 });
    const byHand = await orchestrator.runs.trigger('daily', {}, ACTOR);
    expect(byHand.run.state).toBe('queued');
    const claimed = await agent.claim(100);
    expect(claimed.map(({ logicalDate }) => logicalDate?.slice(0, 10) ?? 'by hand')).toEqual([
      'by hand',
      '2026-01-31',
      '2026-01-30',
      '2026-01-29',
    ]);
    const another = await orchestrator.runs.trigger('daily', {}, ACTOR);
    expect(another.run.state).toBe('scheduled');
    const [, newest] = claimed;
    if (newest) await agent.succeed(newest);
    await waitFor(
      async () => (await orchestrator.backfills.get(backfill.id)).counts.succeeded === 1,
      { what: 'the next one to be started without a look of the background step' },
    );
    const next = await agent.claim(100);
    expect(next.map(({ logicalDate }) => logicalDate?.slice(0, 10))).toEqual(['2026-01-28']);
    expect(next[0]?.trigger).toEqual({ kind: 'backfill', backfillId: backfill.id });
  });

  it('does not repeat what has succeeded, by whatever run, unless all is to be run again', async () => {
    const date = '2026-01-02T01:00:00.000Z';
    await orchestrator.runs.trigger('daily', { logicalDate: date }, ACTOR);
    await workOff((await start('daily', { from: '2026-01-01', to: '2026-01-01' })).id);
    const plan = (rerun: 'missing' | 'failed' | 'all') =>
      orchestrator.backfills.plan('daily', { from: '2026-01-01', to: '2026-01-03', rerun });
    expect((await plan('missing')).items.map(({ action }) => action)).toEqual([
      'skip',
      'skip',
      'run',
    ]);
    const again = await start('daily', { from: '2026-01-01', to: '2026-01-03', rerun: 'all' });
    expect(await workOff(again.id)).toHaveLength(3);
    const failing = await start('daily', { from: '2026-01-05', to: '2026-01-06' });
    await workOff(failing.id, new Set(['2026-01-05']));
    expect(doneOf(await orchestrator.backfills.get(failing.id))).toMatchObject({
      state: 'failed',
      failed: 1,
      succeeded: 1,
    });
    const range = { from: '2026-01-05', to: '2026-01-06' };
    const missing = await orchestrator.backfills.plan('daily', { ...range, rerun: 'missing' });
    const failed = await orchestrator.backfills.plan('daily', { ...range, rerun: 'failed' });
    expect([missing.toRun, failed.toRun]).toEqual([0, 1]);
  });

  it('whose server dies is carried on by another, and two servers at once start no interval twice', async () => {
    const backfill = await start('daily', { ...JANUARY, concurrency: 5 });
    const other = await stand.another();
    const steps = [orchestrator, other].flatMap(({ reconcilers }) =>
      reconcilers.filter(({ name }) => name === 'backfills'),
    );
    const dates: string[] = [];
    while (dates.length < 31) {
      for (const one of await agent.claim(100)) {
        dates.push(one.logicalDate ?? '');
        await agent.succeed(one);
      }
      await Promise.all([...steps, ...steps].map((step) => step.run()));
    }
    expect(new Set(dates).size).toBe(31);
    const [{ count } = { count: 0 }] = await stand.sql<{ count: number }>(
      `SELECT count(*)::int AS count FROM signalbox.run WHERE trigger = 'backfill'`,
    );
    expect(count).toBe(31);
    await waitFor(async () => (await other.backfills.get(backfill.id)).state === 'succeeded', {
      what: 'the end',
    });
  });

  it('that is paused starts nothing more, and goes on with what failed when it is resumed', async () => {
    const backfill = await start('by-hand', {
      from: '2026-01-01',
      to: '2026-01-04',
      concurrency: 2,
    });
    const claimed = await agent.claim(100);
    expect(claimed).toHaveLength(2);
    await orchestrator.backfills.pause(backfill.id, ACTOR);
    const [one, two] = claimed;
    if (!one || !two) throw new Error('two were claimed');
    await agent.fail(one, { final: true });
    await agent.succeed(two);
    await stand.reconcile('backfills');
    expect(await agent.claim(100)).toEqual([]);
    expect(doneOf(await orchestrator.backfills.get(backfill.id))).toMatchObject({
      ...{ state: 'paused', failed: 1, succeeded: 1, pending: 2 },
    });
    await orchestrator.backfills.resume(backfill.id, ACTOR);
    expect((await workOff(backfill.id)).sort()).toEqual([
      '2026-01-01T00:00:00.000Z',
      '2026-01-03T00:00:00.000Z',
      '2026-01-04T00:00:00.000Z',
    ]);
    expect((await orchestrator.backfills.get(backfill.id)).state).toBe('succeeded');
    await expect(orchestrator.backfills.pause(backfill.id, ACTOR)).rejects.toThrow(/succeeded/);
  });

  it('that is cancelled cancels what runs and what is to come', async () => {
    const backfill = await start('by-hand', {
      from: '2026-01-01',
      to: '2026-01-10',
      concurrency: 2,
    });
    const [held] = await agent.claim(1);
    const cancelling = await orchestrator.backfills.cancel(backfill.id, ACTOR);
    expect(cancelling.state).toBe('cancelling');
    if (!held) throw new Error('one was claimed');
    expect((await agent.beat()).cancel[0]?.reason).toBe(`backfill ${backfill.id} was cancelled`);
    await agent.complete([
      { ...held, state: 'cancelled', startedAt: Date.now(), finishedAt: Date.now() },
    ]);
    const over = await waitFor(
      async () => {
        await stand.reconcile('backfills');
        const found = await orchestrator.backfills.get(backfill.id);
        return found.state === 'cancelled' && found;
      },
      { what: 'the cancellation' },
    );
    expect(over.counts).toMatchObject({ cancelled: 10, running: 0, pending: 0 });
    expect(await agent.claim(100)).toEqual([]);
  });

  it('is asked for twice under one key and started once; its parameters are checked', async () => {
    const request = { from: '2026-01-01', to: '2026-01-02', idempotencyKey: 'january' };
    const first = await orchestrator.backfills.start('typed', request, ACTOR);
    const second = await orchestrator.backfills.start('typed', request, ACTOR);
    expect([first.created, second.created]).toEqual([true, false]);
    expect(second.backfill.id).toBe(first.backfill.id);
    expect(first.backfill.parameters).toEqual({ n: 3 });
    await expect(start('typed', { ...request, parameters: { n: 'many' } })).rejects.toMatchObject({
      code: 'invalid-parameters',
    });
  });

  it('of a workflow without a schedule takes days, or pieces of a length that is told', async () => {
    const count = async (more: object) =>
      (
        await orchestrator.backfills.plan('by-hand', {
          from: '2026-03-28',
          to: '2026-03-30',
          ...more,
        })
      ).items;
    const days = await count({ timezone: 'Europe/Berlin' });
    expect(days.map(({ dataInterval }) => dataInterval?.start)).toEqual([
      '2026-03-27T23:00:00.000Z',
      '2026-03-28T23:00:00.000Z',
      '2026-03-29T22:00:00.000Z',
    ]);
    expect(await count({ every: '6h' })).toHaveLength(12);
    expect(
      await count({ from: '2026-03-28T06:00', to: '2026-03-28T12:00:00Z', every: '1h' }),
    ).toHaveLength(6);
  });

  it('leaves out intervals that are not over, and refuses a range that is too long, empty or unreadable', async () => {
    const plan = (from: string, to: string, more = {}) =>
      orchestrator.backfills.plan('by-hand', { from, to, ...more });
    const today = new Date().toISOString().slice(0, 10);
    await expect(plan(today, today)).rejects.toThrow(/no interval of the range is over yet/);
    await expect(plan('2001-01-01', '2026-01-01', { every: '1h' })).rejects.toThrow(
      /at most 10000 intervals.*split the range/,
    );
    await expect(plan('2026-01-02', '2026-01-01')).rejects.toThrow(/ends .* before it begins/);
    await expect(plan('2026-02-30', '2026-03-01')).rejects.toThrow(/not "2026-02-30"/);
    await expect(orchestrator.backfills.plan('daily', { ...JANUARY, every: '1h' })).rejects.toThrow(
      /has a schedule/,
    );
  });

  it('notes dates that had no run as made good once their runs have succeeded, and only those', async () => {
    const day = (date: string) => `${date}T01:00:00.000Z`;
    const expected = (date: string, outcome: string, since: string | null = null) =>
      stand.sql(
        `INSERT INTO signalbox.expected_run
           (workflow, logical_date, interval_end, due_at, outcome, reason, since, noticed_at)
         VALUES ('daily', $1::timestamptz, $1, $1, $2, 'scheduler-down', $3, $1)`,
        [day(date), outcome, since && day(since)],
      );
    await expected('2026-01-05', 'missed');
    await expected('2026-01-06', 'missed');
    await expected('2026-02-05', 'missed');
    await expected('2026-01-04', 'dropped', '2026-01-02');
    const { id } = await start('daily', { ...JANUARY, concurrency: 31 });
    await workOff(id, new Set(['2026-01-06']));
    const ledger = async () =>
      new Map(
        (await orchestrator.schedules.expectedRuns({ workflow: 'daily' })).items.map((one) => [
          one.logicalDate.slice(0, 10),
          one,
        ]),
      );
    const first = await ledger();
    const [good] = (await orchestrator.backfills.items(id, { limit: 10 })).items.filter(
      ({ logicalDate }) => logicalDate === day('2026-01-05'),
    );
    expect(first.get('2026-01-05')).toMatchObject({
      ...{ outcome: 'missed', madeGood: { runId: good?.runId } },
    });
    expect(first.get('2026-01-06')?.madeGood).toBeUndefined();
    expect(first.get('2026-02-05')?.madeGood).toBeUndefined();
    expect(first.get('2026-01-04')?.madeGood).toBeUndefined();
    const again = await start('daily', { ...JANUARY, concurrency: 31, rerun: 'failed' });
    await workOff(again.id);
    const second = await ledger();
    expect(second.get('2026-01-06')?.madeGood).toBeDefined();
    expect(second.get('2026-01-04')?.madeGood).toBeDefined();
    expect(second.get('2026-02-05')?.madeGood).toBeUndefined();
  });
});
