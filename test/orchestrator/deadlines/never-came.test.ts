import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { WorkflowDefinition } from '../../../domain/agent-protocol.ts';
import type { WorkflowSchedule } from '../../../domain/schedule.ts';
import type { Orchestrator } from '../../../orchestrator/service.ts';
import { type Stand, startStand, workflow } from '../dispatch/stand.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const ACTOR = { name: 'token:test' };
const daily: WorkflowSchedule = { cron: '0 2 * * *', timezone: 'UTC', catchup: false };
const sla = { name: 'sla', afterMs: 2 * HOUR, from: 'scheduled', onMiss: 'record' } as const;

let now = 0;
let stand: Stand;
let orchestrator: Orchestrator;

beforeEach(async () => {
  now = Date.parse('2026-05-04T12:00:00Z');
  stand = await startStand({ clock: { now: () => now } });
  orchestrator = stand.orchestrator;
});

afterEach(() => stand[Symbol.asyncDispose]());

const register = (more: Partial<WorkflowDefinition> = {}) =>
  orchestrator.workflows.register(
    [
      workflow('nightly', [{ key: 'load' }], {
        ...{ schedule: daily, deadlines: [sla, { ...sla, task: 'load', name: 'sla' }] },
        ...more,
      }),
    ],
    [],
  );
const missed = async () => (await orchestrator.deadlines.list({})).items;
const at = (text: string) => {
  now = Date.parse(text);
};

describe('a run that a schedule called for and that never came', () => {
  it('misses its deadline and those of its tasks, once, with no scheduler as the reason', async () => {
    await register();
    at('2026-05-05T03:59:59Z');
    await stand.reconcile('deadlines');
    expect(await missed()).toEqual([]);
    at('2026-05-05T04:00:00Z');
    await stand.reconcile('deadlines');
    await stand.reconcile('deadlines');
    const found = await missed();
    expect(found.map(({ taskKey, runId, logicalDate }) => [taskKey, runId, logicalDate])).toEqual(
      expect.arrayContaining([
        [null, null, '2026-05-04T02:00:00.000Z'],
        ['load', null, '2026-05-04T02:00:00.000Z'],
      ]),
    );
    expect(found).toHaveLength(2);
    expect(found[0]?.missed?.reason).toBe('scheduler-down');
    expect(found[0]?.missed?.detail).toContain('no run came');
    const { runEvents } = await orchestrator.events.readAfter(null, 1_000);
    const told = runEvents.filter(({ state }) => state === 'sla-missed');
    expect(told.map(({ taskKey }) => taskKey).sort()).toEqual(['', 'load']);
    expect(told[0]?.runId).toBe('sla-missed:nightly:2026-05-04T02:00:00.000Z');
  });

  it('misses them of each date of an outage, also where two servers look', async () => {
    await register();
    now += 5 * DAY;
    const second = await stand.another();
    await Promise.all(
      [orchestrator, second, orchestrator].map(({ reconcilers }) =>
        reconcilers.find(({ name }) => name === 'deadlines')?.run(),
      ),
    );
    await stand.reconcile('deadlines');
    expect((await missed()).filter(({ taskKey }) => taskKey === null)).toHaveLength(5);
    expect(await missed()).toHaveLength(10);
  });

  it('is the same miss when its run comes after all, which tells which run it was', async () => {
    await register();
    at('2026-05-05T05:00:00Z');
    await stand.reconcile('deadlines');
    await stand.reconcile('scheduler');
    const [run] = (await orchestrator.runs.list({ workflow: 'nightly' })).items;
    await stand.reconcile('deadlines');
    const found = await missed();
    expect(found).toHaveLength(2);
    for (const miss of found) expect(miss.runId).toBe(run?.id);
    expect(found[0]?.missed?.reason).toBe('scheduler-down');
  });

  it('is late by its own deadline where the run was made first', async () => {
    await register();
    at('2026-05-05T05:00:00Z');
    await stand.reconcile('scheduler');
    await stand.reconcile('deadlines');
    const found = await missed();
    expect(found).toHaveLength(2);
    expect(found[0]).toMatchObject({ dueAt: '2026-05-05T04:00:00.000Z' });
    expect(found[0]?.missed?.reason).toBe('no-agent');
  });

  it('is told as that of a paused workflow', async () => {
    await register();
    await orchestrator.workflows.setPaused('nightly', true, ACTOR);
    at('2026-05-05T04:00:01Z');
    await stand.reconcile('deadlines');
    expect((await missed())[0]?.missed).toMatchObject({
      reason: 'workflow-paused',
      blockers: [{ kind: 'workflow', name: 'nightly' }],
    });
  });

  it('is not looked for where the deadline is no longer declared, and is where it is registered again', async () => {
    await register();
    await register();
    await register({ deadlines: [] });
    now += 2 * DAY;
    await stand.reconcile('deadlines');
    expect(await missed()).toEqual([]);
    await register();
    now += DAY;
    await stand.reconcile('deadlines');
    expect(await missed()).toHaveLength(2);
  });

  it('has had to be there by a time of the day', async () => {
    await register({
      deadlines: [{ name: 'deadline', at: '06:00', timezone: 'Europe/Berlin', onMiss: 'record' }],
    });
    at('2026-05-05T03:59:59Z');
    await stand.reconcile('deadlines');
    expect(await missed()).toEqual([]);
    at('2026-05-05T04:00:00Z');
    await stand.reconcile('deadlines');
    expect((await missed())[0]?.missed?.detail).toContain('at 06:00 in Europe/Berlin');
  });
});

describe('runs of workflows without deadlines', () => {
  it('leave nothing to look at', async () => {
    await register({ deadlines: [] });
    await orchestrator.runs.trigger('nightly', {}, ACTOR);
    expect(await stand.sql('SELECT FROM signalbox.deadline')).toEqual([]);
    expect(await stand.sql('SELECT FROM signalbox.workflow_deadline')).toEqual([]);
  });
});

describe('deadlines and callbacks of clients that do not check them', () => {
  it('that name what is not there are told of as a fault of their file, and hurt no other', async () => {
    const wrong = (name: string, more: Partial<WorkflowDefinition>) =>
      workflow(name, [{ key: 'load' }], more);
    await orchestrator.workflows.register(
      [
        wrong('zone', { deadlines: [{ ...sla, at: '06:00', timezone: 'Mars/Olympus' }] }),
        wrong('task', { deadlines: [{ ...sla, task: 'gone' }] }),
        wrong('address', { callbacks: [{ name: 'onFailure', on: 'failed', url: 'http://[' }] }),
        wrong('right', { deadlines: [sla] }),
      ],
      [],
    );
    const faults = await orchestrator.workflows.fileErrors();
    expect(faults.map(({ file }) => file).sort()).toEqual(['address.ts', 'task.ts', 'zone.ts']);
    const { items } = await orchestrator.workflows.list({});
    expect(items.map(({ name }) => name)).toEqual(['right']);
  });
});
