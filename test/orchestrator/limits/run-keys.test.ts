import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunConcurrency } from '../../../domain/agent-protocol.ts';
import { waitFor } from '../../support/wait-for.ts';
import {
  chain,
  ended,
  first,
  registerAgent,
  type Stand,
  startStand,
  trigger,
  workflow,
} from '../dispatch/stand.ts';

const ACTOR = { name: 'token:test' };
// biome-ignore lint/suspicious/noTemplateCurlyInString: a template of the product
const KEY = 'tenant-${parameters.tenant}';
let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

function keyed(name: string, strategy: RunConcurrency['strategy'], limit = 1, length = 1) {
  const concurrency = { key: KEY, limit, strategy };
  return workflow(name, chain(length), { queue: name, concurrency });
}

const of = (tenant: string) => ({ parameters: { tenant } });
const stateOf = async (id: string) => (await stand.orchestrator.runs.get(id)).state;

describe('concurrency keys of runs', () => {
  it('lets so many runs of a key work at a time, with two servers, by priority and then by age', async () => {
    const { orchestrator } = stand;
    const other = await stand.another();
    const definitions = [keyed('queueing', 'queue', 2, 2)];
    const agent = await registerAgent(orchestrator, { queues: ['queueing'], definitions });
    const made = await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        trigger(n % 2 ? other : orchestrator, 'queueing', of(n % 3 ? 'large' : 'small')),
      ),
    );
    const urgent = await trigger(other, 'queueing', { ...of('large'), priority: 9 });
    const working = new Map<string, Set<string>>();
    const begun: string[] = [];
    let most = 0;
    let left = 13 * 2;
    while (left > 0) {
      const tasks = await agent.claim(20, 5_000);
      expect(tasks.length).toBeGreaterThan(0);
      for (const task of tasks) {
        const runs = working.get(String(task.parameters.tenant)) ?? new Set<string>();
        working.set(String(task.parameters.tenant), runs.add(task.runId));
        most = Math.max(most, runs.size);
        if (task.taskKey === 't0') begun.push(task.runId);
      }
      for (const task of tasks) {
        if (task.taskKey === 't1') working.get(String(task.parameters.tenant))?.delete(task.runId);
        await agent.succeed(task);
        left -= 1;
      }
    }
    expect(most).toBe(2);
    expect(begun.length).toBe(13);
    expect(new Set(begun)).toEqual(new Set([...made, urgent]));
    expect(begun.indexOf(urgent)).toBeLessThan(7);
  });

  it('ends a new run at once where others hold its key, as skipped or as cancelled', async () => {
    const { orchestrator } = stand;
    const definitions = [keyed('skipping', 'skip'), keyed('refusing', 'cancel-new')];
    await registerAgent(orchestrator, { queues: ['none'], definitions });
    for (const [name, state] of [
      ['skipping', 'skipped'],
      ['refusing', 'cancelled'],
    ] as const) {
      await trigger(orchestrator, name, of('a'));
      expect(await stateOf(await trigger(orchestrator, name, of('b')))).toBe('queued');
      const { run } = await orchestrator.runs.trigger(name, of('a'), ACTOR);
      expect([run.state, await stateOf(run.id)]).toEqual([state, state]);
      expect((await orchestrator.runs.get(run.id)).error?.message).toBe(
        'other runs hold the concurrency key tenant-a',
      );
      expect((await orchestrator.runs.tasks(run.id)).map((task) => task.state)).toEqual([state]);
    }
  });

  it('cancels what works when a newer run of the key comes, and what waited before it', async () => {
    const { orchestrator } = stand;
    const definitions = [keyed('newest', 'cancel-running')];
    const agent = await registerAgent(orchestrator, { queues: ['newest'], definitions });
    const oldest = await trigger(orchestrator, 'newest', of('a'));
    const task = first(await agent.claim(5, 5_000));
    const middle = await trigger(orchestrator, 'newest', of('a'));
    const newest = await trigger(orchestrator, 'newest', of('a'));
    await stand.reconcile('concurrency-keys');
    expect(await stateOf(middle)).toBe('cancelled');
    await agent.complete([ended(task, 'cancelled')], 0);
    expect(await stateOf(oldest)).toBe('cancelled');
    expect(first(await agent.claim(5, 5_000)).runId).toBe(newest);
  });

  it('lets a run that is retried wait for its key again', async () => {
    const { orchestrator } = stand;
    const definitions = [keyed('again', 'queue')];
    const agent = await registerAgent(orchestrator, { queues: ['again'], definitions });
    const failed = await trigger(orchestrator, 'again', of('a'));
    await agent.fail(first(await agent.claim(5, 5_000)));
    const holder = await trigger(orchestrator, 'again', of('a'));
    const task = first(await agent.claim(5, 5_000));
    expect(task.runId).toBe(holder);
    await orchestrator.runs.retry(failed, ACTOR);
    await stand.reconcile('run-promoter');
    expect(await stateOf(failed)).toBe('scheduled');
    await agent.succeed(task);
    await waitFor(async () => {
      await stand.reconcile('run-promoter');
      return (await stateOf(failed)) === 'queued';
    });
    expect(first(await agent.claim(5, 5_000)).runId).toBe(failed);
  });
});
