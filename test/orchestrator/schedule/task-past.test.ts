import { expect, test } from 'vitest';
import { manualClock } from '../../../domain/time.ts';
import { workflow as define } from '../../../orchestrator/index.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type HandAgent, registerAgent, startStand, trigger, workflow } from '../dispatch/stand.ts';

const HOUR_MS = 3_600_000;
const START = Date.parse('2026-03-01T00:00:00.500Z');
const PAST = 'tasks-of-the-past';

/** Extract, then load, which depends on the load of the hour before. */
async function loads() {
  const clock = manualClock(START);
  const stand = await startStand({ clock, leaseMs: 1_000 * HOUR_MS });
  const tasks = [{ key: 'extract' }, { key: 'load', after: ['extract'], dependsOnPast: true }];
  const definition = workflow('loads', tasks, {
    schedule: { cron: '@hourly', timezone: 'UTC', catchup: true },
  });
  const agent = await registerAgent(stand.orchestrator, { definitions: [definition] });
  return {
    stand,
    agent,
    async pass(hours = 1) {
      clock.advance(hours * HOUR_MS);
      await stand.reconcile('scheduler');
    },
    async runIds() {
      const { items } = await stand.orchestrator.runs.list({ workflow: 'loads' });
      return items.map(({ id }) => id).sort();
    },
    async [Symbol.asyncDispose]() {
      await stand[Symbol.asyncDispose]();
    },
  };
}

const names = (claimed: Awaited<ReturnType<HandAgent['claim']>>) =>
  claimed.map(
    ({ taskKey, logicalDate }) => `${taskKey} ${logicalDate?.slice(11, 13) ?? 'by hand'}`,
  );

test('a task that depends on the past waits for itself in the scheduled run before, and nothing else does', async () => {
  await using it = await loads();
  await it.pass(3);
  const extracts = await it.agent.claim();
  expect(names(extracts)).toEqual(['extract 00', 'extract 01', 'extract 02']);
  for (const extract of extracts) await it.agent.succeed(extract);
  expect(await it.agent.claim()).toEqual([]);
  const ids = await it.runIds();
  const tasks = await it.stand.orchestrator.runs.tasks(ids[1] ?? '');
  expect(tasks[1]).toMatchObject({ key: 'load', state: 'waiting', reason: 'depends-on-past' });
  for (const hour of ['00', '01', '02']) {
    await it.stand.reconcile(PAST);
    const claimed = await it.agent.claim();
    expect(names(claimed)).toEqual([`load ${hour}`]);
    for (const load of claimed) await it.agent.succeed(load);
  }
  const { items } = await it.stand.orchestrator.runs.list({ workflow: 'loads' });
  expect(items.map(({ state }) => state)).toEqual(['succeeded', 'succeeded', 'succeeded']);
});

test('a failure of it holds up the later ones until a retry has mended it, also on another server', async () => {
  await using it = await loads();
  const other = await it.stand.another();
  await it.pass();
  const [extract] = await it.agent.claim();
  if (!extract) throw new Error('nothing to do');
  await it.agent.succeed(extract);
  await it.stand.reconcile(PAST);
  const [load] = await it.agent.claim();
  if (!load) throw new Error('nothing to do');
  await it.agent.fail(load);
  await it.pass();
  const [later] = await it.agent.claim();
  if (!later) throw new Error('nothing to do');
  await it.agent.succeed(later);
  await it.stand.reconcile(PAST);
  expect(await it.agent.claim()).toEqual([]);
  await other.runs.retry(load.runId, { name: 'token:test' });
  await it.stand.reconcile(PAST);
  const [again] = await it.agent.claim();
  expect(again).toMatchObject({ runId: load.runId, taskKey: 'load', attempt: 2 });
  if (!again) throw new Error('nothing to do');
  await it.agent.succeed(again);
  await Promise.all([
    it.stand.reconcile(PAST),
    other.reconcilers.find(({ name }) => name === PAST)?.run(),
  ]);
  expect(names(await it.agent.claim())).toEqual(['load 01']);
});

test('a run by hand waits for no past, and one that is cancelled while it waits ends at once', async () => {
  await using it = await loads();
  const byHand = await trigger(it.stand.orchestrator, 'loads');
  const [extract] = await it.agent.claim();
  if (!extract) throw new Error('nothing to do');
  await it.agent.succeed(extract);
  await it.stand.reconcile(PAST);
  const [load] = await it.agent.claim();
  expect(load).toMatchObject({ runId: byHand, taskKey: 'load' });
  await it.pass(2);
  for (const each of await it.agent.claim()) await it.agent.succeed(each);
  const scheduled = (await it.runIds()).filter((id) => id !== byHand);
  const cancelled = await it.stand.orchestrator.runs.cancel(scheduled[1] ?? '', 'not needed', {
    name: 'token:test',
  });
  expect(cancelled.state).toBe('cancelled');
});

test('a first task that depends on the past is no agent’s before its time, however many claims wait', async () => {
  const clock = manualClock(START);
  await using stand = await startStand({ clock, leaseMs: 1_000 * HOUR_MS });
  const definition = workflow('first', [{ key: 'only', dependsOnPast: true }], {
    schedule: { cron: '@hourly', timezone: 'UTC', catchup: true },
  });
  const agent = await registerAgent(stand.orchestrator, { definitions: [definition] });
  const waiting = agent.claim(10, 5_000);
  clock.advance(2 * HOUR_MS);
  await stand.reconcile('scheduler');
  await stand.reconcile(PAST);
  const claimed = await waiting;
  expect(names(claimed)).toEqual(['only 00']);
  await stand.reconcile(PAST);
  expect(await agent.claim()).toEqual([]);
  for (const each of claimed) await agent.succeed(each);
  const next = await waitFor(async () => {
    await stand.reconcile(PAST);
    const more = await agent.claim();
    return more.length > 0 && more;
  });
  expect(names(next)).toEqual(['only 01']);
});

test('a task that waits for downstream waits for what comes directly after it in the run before', async () => {
  const clock = manualClock(START);
  await using stand = await startStand({ clock, leaseMs: 1_000 * HOUR_MS });
  const tasks = [
    { key: 'load', dependsOnPast: true, waitForDownstream: true },
    { key: 'publish', after: ['load'] },
    { key: 'report', after: ['publish'] },
  ];
  const definition = workflow('published', tasks, {
    schedule: { cron: '@hourly', timezone: 'UTC', catchup: true },
  });
  const agent = await registerAgent(stand.orchestrator, { definitions: [definition] });
  clock.advance(2 * HOUR_MS);
  await stand.reconcile('scheduler');
  for (const expected of ['load 00', 'publish 00']) {
    await stand.reconcile(PAST);
    const claimed = await agent.claim();
    expect(names(claimed)).toEqual([expected]);
    for (const each of claimed) await agent.succeed(each);
  }
  // The report of the hour before is not directly after it.
  await stand.reconcile(PAST);
  expect(names(await agent.claim()).sort()).toEqual(['load 01', 'report 00']);
});

test('what waits for downstream depends on the past', () => {
  const defined = define('both', { schedule: '@daily' }, (w) => {
    w.task('one', { waitForDownstream: true }, async () => null);
  });
  expect(defined.described.tasks[0]).toMatchObject({
    dependsOnPast: true,
    waitForDownstream: true,
  });
});

/** A list, then its items, each of which depends on the item of the same index of the hour before. */
async function maps(more: object = {}) {
  const clock = manualClock(START);
  const stand = await startStand({ clock, leaseMs: 1_000 * HOUR_MS });
  const map = { over: 'list', maxItems: 5_000, concurrency: null };
  const tasks = [
    { key: 'list' },
    { key: 'load', after: ['list'], map, dependsOnPast: true, ...more },
    { key: 'sum', after: ['load'] },
  ];
  const definition = workflow('maps', tasks, {
    schedule: { cron: '@hourly', timezone: 'UTC', catchup: true },
  });
  const agent = await registerAgent(stand.orchestrator, { definitions: [definition] });
  return {
    ...{ stand, agent },
    /** A further hour, whose list has these items. */
    async hour(items: readonly unknown[]) {
      clock.advance(HOUR_MS);
      await stand.reconcile('scheduler');
      const [list] = await agent.claim();
      if (list?.taskKey !== 'list') throw new Error('there is no list to make');
      await agent.succeed(list, items);
    },
    async released() {
      await stand.reconcile(PAST);
      return agent.claim(10_000);
    },
    async [Symbol.asyncDispose]() {
      await stand[Symbol.asyncDispose]();
    },
  };
}

test('each item of a mapped task waits for the item of its index in the run before; a new index waits for none', async () => {
  await using it = await maps();
  await it.hour(['a', 'b']);
  const first = await it.released();
  expect(names(first)).toEqual(['load[0] 00', 'load[1] 00']);
  const [a, b] = first;
  if (!a || !b) throw new Error('nothing to do');
  await it.hour(['a', 'b', 'c']);
  // What is new has no past; the others wait.
  const added = await it.released();
  expect(names(added)).toEqual(['load[2] 01']);
  await it.agent.succeed(b);
  const second = await it.released();
  expect(names(second)).toEqual(['load[1] 01']);
  await it.agent.fail(a, { final: true });
  expect(await it.released()).toEqual([]);
  const [run] = (await it.stand.orchestrator.runs.list({ workflow: 'maps' })).items;
  const tasks = await it.stand.orchestrator.runs.tasks(run?.id ?? '');
  expect(tasks.find(({ key }) => key === 'load[0]')).toMatchObject({
    ...{ state: 'waiting', reason: 'depends-on-past' },
  });
  await it.stand.orchestrator.runs.retry(a.runId, { name: 'token:test' });
  const again = await it.released();
  expect(names(again)).toEqual(['load[0] 00']);
  for (const one of again) await it.agent.succeed(one);
  expect(names(await it.released())).toContain('load[0] 01');
});

test('items wait while the list of the run before is not there yet, or could not be used', async () => {
  await using it = await maps();
  await it.hour('no list' as never);
  await it.hour(['a']);
  expect(await it.released()).toEqual([]);
  const [, before] = (await it.stand.orchestrator.runs.list({ workflow: 'maps' })).items;
  await it.stand.orchestrator.runControl.mark(
    before?.id ?? '',
    { tasks: ['load'], as: 'succeeded' },
    { name: 'token:test' },
  );
  expect(names(await it.released())).toContain('load[0] 01');
});

test('items wait for what comes after the mapped task as well, where that is asked for', async () => {
  await using it = await maps({ waitForDownstream: true });
  await it.hour(['a']);
  const [only] = await it.released();
  if (!only) throw new Error('nothing to do');
  await it.agent.succeed(only);
  const [sum] = await it.agent.claim();
  if (!sum) throw new Error('nothing to do');
  await it.hour(['a']);
  expect(await it.released()).toEqual([]);
  await it.agent.succeed(sum);
  expect(names(await it.released())).toEqual(['load[0] 01']);
});

test('thousands of items that wait are in nobody’s way, and are let go in seconds', async () => {
  await using it = await maps();
  const items = Array.from({ length: 3_000 }, (_, index) => index);
  const waiting = async () =>
    (await it.stand.sql('SELECT FROM signalbox.task_live WHERE state = 5')).length;
  await it.hour(items);
  expect(await waiting()).toBe(3_000);
  await it.stand.reconcile(PAST);
  expect(await waiting()).toBe(0);
  const first = [...(await it.agent.claim(3_000))];
  while (first.length < items.length) first.push(...(await it.agent.claim(3_000)));
  await it.hour(items);
  const startedAt = performance.now();
  await it.stand.reconcile(PAST);
  expect(performance.now() - startedAt).toBeLessThan(10_000);
  expect(await waiting()).toBe(3_000);
  const last = first.at(-1);
  if (!last) throw new Error('nothing to do');
  await it.agent.succeed(last);
  await it.stand.reconcile(PAST);
  expect(await waiting()).toBe(2_999);
});

test('a mapped task may be defined so, and the task that gives its list does not wait', () => {
  const { described } = define('m', {}, (w) => {
    w.map('each', { over: () => [1], dependsOnPast: true }, () => 1);
  });
  expect(described.tasks.map(({ key, dependsOnPast }) => [key, dependsOnPast])).toEqual([
    ['each.items', undefined],
    ['each', true],
  ]);
});
