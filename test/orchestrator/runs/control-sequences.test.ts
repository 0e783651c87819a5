/**
 * Whatever people and agents do to a run, in whatever order: it never stands still for good, holds no slot once it is
 * over, and no attempt is written twice.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Assignment, TaskDefinition } from '../../../domain/agent-protocol.ts';
import { SignalboxError } from '../../../domain/errors.ts';
import { isTerminalRun } from '../../../domain/run.ts';
import {
  ended,
  type HandAgent,
  registerAgent,
  type Stand,
  startStand,
  trigger,
  workflow,
} from '../dispatch/stand.ts';

const ACTOR = { name: 'token:test' };
const TASKS = 5;
const RUNS = 30;
const MAX_STEPS = 14;
const MAX_ROUNDS = 60;

let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

/** Each task comes after some of those before it, and may be tried again. */
const graph = fc.array(
  fc.record({
    after: fc.array(fc.nat(TASKS - 1), { maxLength: 3 }),
    retries: fc.nat(1),
    teardown: fc.boolean(),
  }),
  { minLength: 2, maxLength: TASKS },
);
/** A task for each item of what the first one returns, and one after it. */
const mapped = fc.option(fc.record({ concurrency: fc.constantFrom(null, 1, 2) }));
const task = fc.nat(TASKS + 2);
const deed = fc.oneof(
  fc.record({ do: fc.constant('claim' as const), n: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ do: fc.constant('work' as const), rounds: fc.integer({ min: 1, max: 6 }) }),
  fc.record({
    do: fc.constantFrom('succeed' as const, 'fail' as const, 'abandon' as const),
    at: fc.nat(5),
    take: fc.nat(2),
  }),
  fc.record({
    do: fc.constant('clear' as const),
    task,
    downstream: fc.boolean(),
    upstream: fc.boolean(),
    force: fc.boolean(),
  }),
  fc.record({
    do: fc.constant('mark' as const),
    task,
    as: fc.constantFrom('succeeded' as const, 'failed' as const),
    whole: fc.boolean(),
  }),
  fc.record({ do: fc.constant('cancel' as const), task, whole: fc.boolean() }),
  fc.record({ do: fc.constant('retry' as const), task, how: fc.nat(2) }),
  fc.record({ do: fc.constantFrom('pause' as const, 'resume' as const) }),
);
type Deed = typeof deed extends fc.Arbitrary<infer T> ? T : never;

type Shape = typeof graph extends fc.Arbitrary<infer T> ? T : never;
type Mapped = typeof mapped extends fc.Arbitrary<infer T> ? T : never;

function tasksOf(shape: Shape, map: Mapped): (Partial<TaskDefinition> & { key: string })[] {
  const plain = shape.map(({ after, retries, teardown }, index) => {
    const before = [...new Set(after.filter((at) => at < index))].map((at) => `t${at}`);
    const tidies = teardown && index === shape.length - 1 && before.length > 0;
    return {
      ...{ key: `t${index}`, retries, after: before },
      ...(tidies ? { teardown: { setups: [], failRun: false } } : {}),
    };
  });
  if (map === null) return plain;
  return [
    ...plain,
    { key: 'each', after: ['t0'], map: { over: 't0', maxItems: 10, concurrency: map.concurrency } },
    { key: 'after-each', after: ['each'] },
  ];
}

interface Scene {
  readonly agent: HandAgent;
  readonly runId: string;
  readonly held: Assignment[];
  readonly keys: readonly string[];
}

/** What is refused for the state of the run is no fault. */
async function attempt(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    // An item of a mapped task is there only once its list is.
    const fine = error instanceof SignalboxError && ['conflict', 'not-found'].includes(error.code);
    if (fine) return;
    throw error;
  }
}

async function act(scene: Scene, step: Deed): Promise<void> {
  const { agent, runId, held, keys } = scene;
  const control = stand.orchestrator.runControl;
  const key = 'task' in step ? (keys[step.task % keys.length] ?? '') : '';
  switch (step.do) {
    case 'claim':
      held.push(...(await agent.claim(step.n)));
      return;
    case 'work':
      for (let round = 0; round < step.rounds; round += 1) await workOn(scene);
      return;
    case 'succeed':
    case 'fail': {
      const [one] = held.splice(step.at % Math.max(1, held.length), 1);
      if (!one) return;
      const state = step.do === 'succeed' ? 'succeeded' : 'failed';
      const reply = await agent.complete([ended(one, state, { result: [1, 2, 3] })], step.take);
      held.push(...reply.assignments);
      return;
    }
    case 'abandon':
      // The agent lost what it was given; its heartbeat tells, and the server gives it out anew.
      held.splice(step.at % Math.max(1, held.length), 1);
      return;
    case 'clear': {
      const { downstream, upstream, force } = step;
      await attempt(() =>
        control.clear(runId, { tasks: [key], downstream, upstream, force }, ACTOR),
      );
      return;
    }
    case 'mark':
      await attempt(() =>
        control.mark(runId, { as: step.as, ...(step.whole ? {} : { tasks: [key] }) }, ACTOR),
      );
      return;
    case 'cancel':
      await attempt(() => control.cancel(runId, step.whole ? {} : { tasks: [key] }, ACTOR));
      return;
    case 'retry':
      await attempt(() =>
        control.retry(runId, [{}, { from: key }, { all: true }][step.how] ?? {}, ACTOR),
      );
      return;
    default:
      await attempt(() => control[step.do](runId, {}, ACTOR));
  }
}

/** Claims and ends all that it holds; what the heartbeat tells to stop ends as cancelled. */
async function workOn({ agent, held }: Scene): Promise<void> {
  held.push(...(await agent.claim(10)));
  const told = new Set((await agent.beat()).cancel.map(({ token }) => token));
  const ends = held.splice(0).map((one) => {
    const state = told.has(one.token) ? 'cancelled' : 'succeeded';
    return ended(one, state, { result: [1, 2, 3] });
  });
  if (ends.length > 0) held.push(...(await agent.complete(ends, 3)).assignments);
}

/** Works on until the run is over, as agents would; what the heartbeat tells to stop ends as cancelled. */
async function finish(scene: Scene): Promise<void> {
  const { runId } = scene;
  await attempt(() => stand.orchestrator.runControl.resume(runId, {}, ACTOR));
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    if (isTerminalRun((await stand.orchestrator.runs.get(runId)).state)) return;
    await stand.reconcile('retries');
    await workOn(scene);
  }
  throw new Error(
    `the run stands still: ${JSON.stringify(await stand.orchestrator.runs.tasks(runId))}`,
  );
}

describe('what people and agents do to a run, in any order', () => {
  it('never leaves it standing still, nor holding a slot once it is over', async () => {
    let name = 0;
    await fc.assert(
      fc.asyncProperty(
        graph,
        mapped,
        fc.array(deed, { maxLength: MAX_STEPS }),
        async (shape, map, steps) => {
          name += 1;
          const queue = `sequence-${name}`;
          const tasks = tasksOf(shape, map);
          const keys = [...tasks.map(({ key }) => key), ...(map ? ['each[0]', 'each[2]'] : [])];
          const definitions = [workflow(queue, tasks, { queue })];
          const agent = await registerAgent(stand.orchestrator, { queues: [queue], definitions });
          const runId = await trigger(stand.orchestrator, queue);
          const scene: Scene = { agent, runId, held: [], keys };
          const all: Assignment[] = [];
          for (const step of steps) {
            const before = [...scene.held];
            await act(scene, step);
            if (step.do === 'abandon')
              all.push(...before.filter((one) => !scene.held.includes(one)));
          }
          // What was abandoned is taken up again, as after a restart of the agent.
          scene.held.push(...all);
          await finish(scene);
          const left = await stand.sql(
            `SELECT FROM signalbox.task_live WHERE run_id = $1
           UNION ALL SELECT FROM signalbox.run_live WHERE run_id = $1`,
            [runId],
          );
          expect(left).toEqual([]);
          expect(await stand.orchestrator.levers.runs.heldSlots(runId)).toBe(0);
          for (const { state } of await stand.orchestrator.runs.tasks(runId)) {
            expect(['succeeded', 'failed', 'cancelled', 'skipped', 'upstream-failed']).toContain(
              state,
            );
          }
          // Whoever still holds something of the run is refused.
          for (const one of scene.held) expect(await agent.succeed(one)).not.toBe('recorded');
        },
      ),
      { numRuns: RUNS, endOnFailure: false },
    );
  });
});
