import { afterAll, beforeAll, expect, it } from 'vitest';
import { waitFor } from '../../support/wait-for.ts';
import { chain, first, registerAgent, type Stand, startStand, trigger, workflow } from './stand.ts';

const ACTOR = { name: 'token:test' };
const BACKLOG = 20_000;
const AT_ONCE = 1_000;
const SLOTS = 50;
const PICKED_UP_MS = 1_000;

let stand: Stand;
beforeAll(async () => {
  stand = await startStand({ leaseMs: 120_000 });
});
afterAll(() => stand[Symbol.asyncDispose]());

/** How long until the agent has a task of a run that is triggered now, while its claims wait. */
async function pickedUpMs(agent: Awaited<ReturnType<typeof registerAgent>>, name: string) {
  const waiting = agent.claim(SLOTS, 30_000);
  const startedAt = performance.now();
  const runId = await trigger(stand.orchestrator, name);
  const task = first(await waiting);
  const tookMs = performance.now() - startedAt;
  expect(task.runId).toBe(runId);
  await agent.succeed(task, null);
  return tookMs;
}

for (const limit of [null, 1_000]) {
  const kind = limit === null ? 'a queue' : 'a queue with a limit';
  it(`${kind} with 20,000 tasks that only another agent can run keeps nobody from work of his own`, {
    timeout: 120_000,
  }, async () => {
    const { orchestrator } = stand;
    const queue = `shared-${limit}`;
    const [theirs, mine] = [`theirs-${limit}`, `mine-${limit}`];
    const all = [theirs, mine].map((name) => workflow(name, chain(1), { queue }));
    const others = await registerAgent(orchestrator, {
      ...{ name: `others-${limit}`, queues: [queue], definitions: all.slice(0, 1) },
    });
    const agent = await registerAgent(orchestrator, {
      ...{ name: `own-${limit}`, queues: [queue], definitions: all.slice(1) },
    });
    if (limit !== null) await orchestrator.queues.set(queue, { concurrency: limit }, ACTOR);
    for (let sent = 0; sent < BACKLOG; sent += AT_ONCE) {
      const runs = Array.from({ length: AT_ONCE }, () => ({}));
      await orchestrator.runs.triggerBatch(theirs, runs, ACTOR);
    }
    const took: number[] = [];
    for (let round = 0; round < 8; round += 1) {
      // The other one goes on with the backlog meanwhile.
      const [tookMs, claimed] = await Promise.all([
        pickedUpMs(agent, mine),
        waitFor(async () => {
          const tasks = await others.claim(SLOTS);
          return tasks.length > 0 && tasks;
        }),
      ]);
      expect(claimed.every((task) => task.workflow === theirs)).toBe(true);
      took.push(tookMs);
    }
    expect(took.sort((a, b) => a - b)[4]).toBeLessThan(PICKED_UP_MS);
  });
}
