import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Assignment, Completion } from '../../../domain/agent-protocol.ts';
import { isTerminalRun } from '../../../domain/run.ts';
import { TRIGGER_RULES } from '../../../domain/trigger-rule.ts';
import type { Orchestrator } from '../../../orchestrator/service.ts';
import { KINDS, ROLES, type Shape, shape, tasksOf } from './arbitrary-graphs.ts';
import { versionOf } from './graphs.ts';
import {
  ended,
  type HandAgent,
  registerAgent,
  type Stand,
  startStand,
  trigger,
  workflow,
} from './stand.ts';

const ACTOR = { name: 'token:test' };
const SEED = 20_261_124;
const GRAPHS = 60;
const OVER = ['succeeded', 'failed', 'cancelled', 'skipped', 'upstream-failed'];

let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

/** Shapes of graphs that can be registered. */
async function drawShapes(): Promise<Shape[][]> {
  const arbitrary = fc.array(shape(TRIGGER_RULES, ROLES, KINDS), { minLength: 2, maxLength: 9 });
  const drawn = fc.sample(arbitrary, { seed: SEED, numRuns: 2 * GRAPHS });
  const good = await Promise.all(
    drawn.map((shapes) =>
      versionOf(tasksOf(shapes, TRIGGER_RULES)).then(
        () => true,
        () => false,
      ),
    ),
  );
  return drawn.filter((_, index) => good[index]).slice(0, GRAPHS);
}

/** What an assignment comes to; null where its agent hands it back. */
function completionOf(shapes: readonly Shape[], assignment: Assignment): Completion | null {
  const index = Number((assignment.item?.task ?? assignment.taskKey).slice(1));
  const found = shapes[index];
  if (!found) throw new Error(`there is no task ${assignment.taskKey}`);
  const { outcomes, items, role, follow } = found;
  const kind = outcomes[Math.min(assignment.attempt, outcomes.length) - 1] ?? 'succeeded';
  if (kind === 'lost' || kind === 'handed-back' || kind === 'undelivered')
    return assignment.attempt < 4 ? null : ended(assignment, 'succeeded');
  const result = items === 4 ? 'no list' : Array.from({ length: items }, (_, at) => at);
  const branches = kind === 'succeeded' && !assignment.item;
  if (branches && role === 'branch') {
    const below = tasksOf(shapes, TRIGGER_RULES).filter((task, at) => {
      return (
        task.after?.includes(assignment.taskKey) &&
        !task.teardown &&
        (follow >> (at % 30)) % 2 === 1
      );
    });
    return ended(assignment, kind, { result, branch: { follow: below.map(({ key }) => key) } });
  }
  if (branches && role === 'short' && follow % 2 === 1) {
    return ended(assignment, kind, { result, branch: { follow: [], skipAll: true } });
  }
  return ended(assignment, kind, kind === 'succeeded' ? { result } : {});
}

describe('runs of arbitrary graphs on two servers', () => {
  it('all end, whoever completes their tasks, also when agents stop and runs are cancelled in the middle', async () => {
    const all = await drawShapes();
    const servers: readonly Orchestrator[] = [stand.orchestrator, await stand.another()];
    const definitions = all.map((shapes, index) =>
      workflow(`graph-${index}`, tasksOf(shapes, TRIGGER_RULES)),
    );
    const open = async (turn: number): Promise<HandAgent> => {
      const server = servers[turn % servers.length] ?? stand.orchestrator;
      return registerAgent(server, { name: `hand-${turn}`, definitions });
    };
    const agents = [await open(0), await open(1)];
    const runIds = await Promise.all(
      all.map((_, index) => trigger(stand.orchestrator, `graph-${index}`)),
    );
    const shapesOf = new Map(runIds.map((runId, index) => [runId, all[index] ?? []]));
    const held: Assignment[][] = [[], []];
    let idle = 0;
    for (let turn = 2; idle < 6; turn += 1) {
      expect(turn).toBeLessThan(2_000);
      const place = turn % 2;
      const agent = agents[place];
      if (!agent) throw new Error('there is no agent');
      const mine = held[place] ?? [];
      const ends = mine.map((one) => completionOf(shapesOf.get(one.runId) ?? [], one));
      const told = ends.filter((end) => end !== null);
      const { assignments, outcomes } = await agent.complete(told, turn % 3 === 0 ? 50 : 3);
      for (const { outcome } of outcomes) expect(outcome).not.toBe('already-recorded');
      const more = await agent.claim(turn % 5 === 0 ? 3 : 40);
      held[place] = [...assignments, ...more];
      if (ends.length > told.length) {
        // It stops: what it was not to tell, and what it has got just now, is handed back.
        await agent.stop();
        agents[place] = await open(turn + (turn % 2));
        held[place] = [];
      }
      if (turn === 6 || turn === 9) {
        const some = runIds.filter((_, index) => index % 7 === turn % 7);
        for (const runId of some)
          await servers[place]?.runs.cancel(runId, 'enough', ACTOR).catch(() => undefined);
      }
      await stand.reconcile('retries');
      idle = held.every((list) => list.length === 0) ? idle + 1 : 0;
    }
    for (const runId of runIds) {
      const run = await stand.orchestrator.runs.get(runId);
      const tasks = await stand.orchestrator.runs.tasks(runId);
      const states = tasks.map(({ key, state }) => `${key} ${state}`);
      expect([
        run.workflow,
        run.state,
        isTerminalRun(run.state),
        states.filter((text) => !OVER.includes(text.split(' ')[1] ?? '')),
      ]).toEqual([run.workflow, run.state, true, []]);
      const attempts = await stand.sql<{ count: number }>(
        `SELECT count(*)::int AS count FROM signalbox.task_log WHERE run_id = $1 AND state = 2
         GROUP BY task HAVING count(*) > 1`,
        [runId],
      );
      expect(attempts).toEqual([]);
    }
    expect(await stand.sql('SELECT run_id FROM signalbox.run_live')).toEqual([]);
    expect(await stand.sql('SELECT run_id FROM signalbox.task_live')).toEqual([]);
  });
});
