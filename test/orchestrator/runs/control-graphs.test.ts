/** Clearing, marking and cancelling in graphs with mapped tasks, set-up and teardown, and branches. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TaskDefinition } from '../../../domain/agent-protocol.ts';
import {
  ended,
  first,
  type HandAgent,
  registerAgent,
  type Stand,
  startStand,
  trigger,
  workflow,
} from '../dispatch/stand.ts';

const ACTOR = { name: 'token:test' };
let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

type Tasks = readonly (Partial<TaskDefinition> & { key: string })[];

async function define(name: string, tasks: Tasks): Promise<HandAgent> {
  const definition = workflow(name, tasks, { queue: name });
  return registerAgent(stand.orchestrator, { queues: [name], definitions: [definition] });
}

const control = () => stand.orchestrator.runControl;
const stateOf = async (runId: string) => (await stand.orchestrator.runs.get(runId)).state;
const statesOf = async (runId: string) =>
  Object.fromEntries(
    (await stand.orchestrator.runs.tasks(runId)).map(({ key, state }) => [key, state]),
  );

/** Works until nothing is ready; `list` returns three items, and these keys fail. @returns keys that ran */
async function work(agent: HandAgent, failing: readonly string[] = []): Promise<string[]> {
  const done: string[] = [];
  for (let found = await agent.claim(); found.length > 0; found = await agent.claim()) {
    for (const one of found) {
      done.push(one.taskKey);
      const fails = failing.includes(one.taskKey);
      const result = one.taskKey === 'list' ? [1, 2, 3] : one.taskKey;
      await agent.complete([ended(one, fails ? 'failed' : 'succeeded', fails ? {} : { result })]);
    }
  }
  return done.sort();
}

const MAPPED: Tasks = [
  { key: 'list' },
  { key: 'part', after: ['list'], map: { over: 'list', maxItems: 10, concurrency: null } },
  { key: 'sum', after: ['part'] },
];
const PARTS = ['part[0]', 'part[1]', 'part[2]'];

describe('a mapped task', () => {
  it('has one item cleared alone, and its followers with it where that is asked for', async () => {
    const agent = await define('mapped', MAPPED);
    const runId = await trigger(stand.orchestrator, 'mapped');
    expect(await work(agent)).toEqual(['list', ...PARTS, 'sum']);
    const effect = await control().clear(runId, { tasks: ['part[1]'] }, ACTOR);
    expect(effect.runs[0]?.tasks.map(({ key, to }) => [key, to])).toContainEqual([
      'part[1]',
      'ready',
    ]);
    expect(await work(agent)).toEqual(['part[1]']);
    expect(await stateOf(runId)).toBe('succeeded');
    expect(await control().attempts(runId, 'part[1]')).toHaveLength(2);
    await control().clear(runId, { tasks: ['part'], downstream: true }, ACTOR);
    expect(await work(agent)).toEqual([...PARTS, 'sum']);
    await control().clear(runId, { tasks: ['list'], downstream: true }, ACTOR);
    expect(await work(agent)).toEqual(['list', ...PARTS, 'sum']);
    expect(await stateOf(runId)).toBe('succeeded');
  });

  it('goes on once its failed item is marked as succeeded', async () => {
    const agent = await define('mended-item', MAPPED);
    const runId = await trigger(stand.orchestrator, 'mended-item');
    await work(agent, ['part[2]']);
    expect(await statesOf(runId)).toMatchObject({ part: 'failed', sum: 'upstream-failed' });
    await control().mark(runId, { as: 'succeeded', tasks: ['part[2]'], result: 'x' }, ACTOR);
    expect(await work(agent)).toEqual(['sum']);
    expect(await stateOf(runId)).toBe('succeeded');
  });

  it('goes on counting the attempts of an item that was marked before its list came anew', async () => {
    const agent = await define('marked-then-anew', MAPPED);
    const runId = await trigger(stand.orchestrator, 'marked-then-anew');
    const list = first(await agent.claim());
    await agent.complete([ended(list, 'succeeded', { result: [1, 2, 3] })]);
    for (const one of await agent.claim(3)) await agent.succeed(one);
    await control().clear(runId, { tasks: ['list'] }, ACTOR);
    await control().mark(runId, { as: 'failed', tasks: ['part[0]'] }, ACTOR);
    expect(await work(agent)).toEqual(['list', 'part[0]', 'sum']);
    expect(await stateOf(runId)).toBe('succeeded');
    expect(await control().attempts(runId, 'part[0]')).toHaveLength(3);
  });

  it('is marked or cancelled as a whole while items run', async () => {
    const agent = await define('whole', MAPPED);
    const one = await trigger(stand.orchestrator, 'whole');
    const list = first(await agent.claim());
    await agent.complete([ended(list, 'succeeded', { result: [1, 2, 3] })]);
    const held = first(await agent.claim(1));
    await control().mark(one, { as: 'succeeded', tasks: ['part'] }, ACTOR);
    expect(await agent.succeed(held)).toBe('lease-lost');
    expect(await work(agent)).toEqual(['sum']);
    expect(await stateOf(one)).toBe('succeeded');
    const two = await trigger(stand.orchestrator, 'whole');
    const again = first(await agent.claim());
    await agent.complete([ended(again, 'succeeded', { result: [1, 2, 3] })]);
    await control().cancel(two, { tasks: ['part'] }, ACTOR);
    expect(await work(agent)).toEqual([]);
    expect(await statesOf(two)).toMatchObject({ part: 'cancelled', sum: 'upstream-failed' });
    expect(await stateOf(two)).toBe('failed');
  });

  it('ends with its last item that is cancelled', async () => {
    const agent = await define('last-item', MAPPED);
    const runId = await trigger(stand.orchestrator, 'last-item');
    const list = first(await agent.claim());
    await agent.complete([ended(list, 'succeeded', { result: [1, 2, 3] })]);
    await control().cancel(runId, { tasks: PARTS }, ACTOR);
    expect(await work(agent)).toEqual([]);
    expect(await stateOf(runId)).toBe('failed');
  });
});

const TIDIED: Tasks = [
  { key: 'up', setup: true },
  { key: 'do', after: ['up'] },
  { key: 'down', after: ['do'], teardown: { setups: ['up'], failRun: false } },
  { key: 'apart' },
];

describe('set-up and teardown', () => {
  it('run again with a cleared task between them', async () => {
    const agent = await define('tidied', TIDIED);
    const runId = await trigger(stand.orchestrator, 'tidied');
    await work(agent);
    const effect = await control().clear(runId, { tasks: ['do'], dryRun: true }, ACTOR);
    expect(effect.runs[0]?.tasks.map(({ key, reason }) => `${key} ${reason}`)).toEqual([
      ...['up setup-teardown', 'do selected', 'down setup-teardown'],
    ]);
    await control().clear(runId, { tasks: ['do'] }, ACTOR);
    expect(await work(agent)).toEqual(['do', 'down', 'up']);
    expect(await stateOf(runId)).toBe('succeeded');
  });

  it('tidy up a cancelled run, until it is cancelled once more', async () => {
    const agent = await define('cancelled-twice', TIDIED);
    const runId = await trigger(stand.orchestrator, 'cancelled-twice');
    const held = [first(await agent.claim(1)), first(await agent.claim(1))];
    for (const one of held) if (one.taskKey === 'up') await agent.succeed(one);
    const other = held.find(({ taskKey }) => taskKey === 'apart');
    await stand.orchestrator.runs.cancel(runId, 'stop', ACTOR);
    if (other) await agent.complete([ended(other, 'cancelled')]);
    const tidying = first(await agent.claim());
    expect(tidying.taskKey).toBe('down');
    expect(await stateOf(runId)).toBe('running');
    await control().cancel(runId, { reason: 'now' }, ACTOR);
    expect((await agent.beat()).cancel).toMatchObject([{ taskKey: 'down' }]);
    await agent.complete([ended(tidying, 'cancelled')]);
    expect(await stateOf(runId)).toBe('cancelled');
  });
});
