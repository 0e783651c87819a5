/** What is late tells which limit holds it up, in the words that a ready task's page has. */
import { workflow as define } from 'signalbox';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Deadline } from '../../../domain/deadline.ts';
import type { Orchestrator } from '../../../orchestrator/service.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';
import { trigger } from '../dispatch/stand.ts';

const ACTOR = { name: 'token:test' };
let release: () => void = () => undefined;
let held: Promise<void> = Promise.resolve();

const deadline = { after: '150ms', from: 'queued' } as const;
const of = (name: string, options: object, task: object) =>
  define(name, { deadline, ...options }, (w) => void w.task('load', task, () => held));
const all = [
  of('keyed', {}, { concurrency: { key: 'tenant' } }),
  of('few', {}, { maxActive: 1 }),
  of('narrow', { maxActiveTasks: 1 }, {}),
  of('choosy', {}, { requires: { gpu: 'true' } }),
  of('rated', { queue: 'slow-lane' }, {}),
  of('counted', { queue: 'lane' }, {}),
  of('one-a-tenant', { concurrency: { key: 'tenant' } }, {}),
];

let agents: AgentStand;
let orchestrator: Orchestrator;
beforeEach(async () => {
  held = new Promise((resolve) => {
    release = resolve;
  });
  agents = await startAgentStand({ leaseMs: 5_000 });
  orchestrator = agents.stand.orchestrator;
  await agents.start(all, { queues: ['default', 'lane', 'slow-lane'] });
});
afterEach(async () => {
  release();
  await agents[Symbol.asyncDispose]();
});

async function missOf(runId: string): Promise<Deadline> {
  return waitFor(
    async () => {
      await agents.stand.reconcile('deadlines');
      const found = await orchestrator.deadlines.ofRun(runId);
      return found.find(({ state }) => state === 'missed');
    },
    { what: `a missed deadline of ${runId}`, timeoutMs: 15_000 },
  );
}

/** Two runs, of which the first works. */
async function two(name: string): Promise<[string, string]> {
  const first = await trigger(orchestrator, name);
  await waitFor(async () => (await orchestrator.runs.get(first)).state === 'running', {
    what: `a run of ${name} that works`,
    timeoutMs: 15_000,
  });
  return [first, await trigger(orchestrator, name)];
}

describe('a run that is late', () => {
  it.each([
    ['keyed', 'concurrency-key', { kind: 'key', name: 'tenant' }],
    ['few', 'task-limit', { kind: 'task' }],
    ['narrow', 'workflow-limit', { kind: 'workflow', name: 'narrow' }],
  ])(
    'as its task waits at a limit (%s: %s) tells the limit and who holds it',
    async (name, reason, blocker) => {
      const [first, second] = await two(name);
      const { missed } = await missOf(second);
      expect(missed?.reason).toBe(reason);
      expect(missed?.blockers[0]).toMatchObject(blocker);
      expect(missed?.blockers[0]?.detail).toMatch(/^load is ready, and /);
      expect(missed?.blockers).toContainEqual(
        expect.objectContaining({ kind: 'run', name: first }),
      );
      const [task] = await orchestrator.runs.tasks(second);
      expect(missed?.blockers[0]?.detail).toBe(`load is ready, and ${task?.waitsFor?.message}`);
    },
  );

  it('as it waits for the concurrency key of runs tells who has it', async () => {
    const [first, second] = await two('one-a-tenant');
    const { missed } = await missOf(second);
    expect(missed?.reason).toBe('concurrency-key');
    expect(missed?.blockers).toMatchObject([
      { kind: 'key', name: 'tenant' },
      { kind: 'run', name: first },
    ]);
  });

  it('as no agent has the labels that it asks for tells the labels', async () => {
    const { missed } = await missOf(await trigger(orchestrator, 'choosy'));
    expect(missed?.reason).toBe('no-agent-with-labels');
    expect(missed?.blockers[0]).toMatchObject({ kind: 'labels', name: 'gpu=true' });
  });

  it('as its queue is at its limit or its rate tells which', async () => {
    await orchestrator.queues.set('lane', { concurrency: 1 }, ACTOR);
    const [, second] = await two('counted');
    await orchestrator.queues.set('slow-lane', { rateLimit: { count: 1, per: '1h' } }, ACTOR);
    const [, late] = await two('rated');
    expect((await missOf(second)).missed).toMatchObject({
      ...{ reason: 'queue-limit', blockers: [{ kind: 'queue', name: 'lane' }] },
    });
    expect((await missOf(late)).missed).toMatchObject({
      ...{ reason: 'queue-rate', blockers: [{ kind: 'queue', name: 'slow-lane' }] },
    });
  });
});
