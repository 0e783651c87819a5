import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SignalboxError } from '../../../domain/errors.ts';
import { TRIGGER_RULES, type TriggerRule } from '../../../domain/trigger-rule.ts';
import {
  type PlannedEnd,
  planBegin,
  planCancel,
  planRun,
  type RunPlan,
} from '../../../orchestrator/dispatch/plan.ts';
import { LIVE, taskStateOf } from '../../../orchestrator/dispatch/task-codes.ts';
import { reopenedVector } from '../../../orchestrator/runs/begin.ts';
import type { Version } from '../../../orchestrator/runs/versions.ts';
import { KINDS, ROLES, type Shape, shape, tasksOf } from './arbitrary-graphs.ts';
import { firstVector, versionOf } from './graphs.ts';

/** What a rule asks for, said as plainly as can be: may it start, given all ends that are there so far? */
const HOLDS: Readonly<Record<TriggerRule, (ends: readonly string[], all: number) => boolean>> = {
  'all-succeeded': (ends, all) => ends.length === all && ends.every((end) => end === 'succeeded'),
  'all-done': (ends, all) => ends.length === all,
  'all-failed': (ends, all) => ends.length === all && ends.every(failed),
  'one-succeeded': (ends) => ends.includes('succeeded'),
  'one-failed': (ends) => ends.some(failed),
  'one-done': (ends) => ends.some((end) => end === 'succeeded' || end === 'failed'),
  'none-failed': (ends, all) => ends.length === all && !ends.some(failed),
  'none-failed-min-one-succeeded': (ends, all) =>
    ends.length === all && !ends.some(failed) && ends.includes('succeeded'),
  'none-skipped': (ends, all) => ends.length === all && !ends.includes('skipped'),
  'all-skipped': (ends, all) => ends.length === all && ends.every((end) => end === 'skipped'),
  'all-done-min-one-succeeded': (ends, all) => ends.length === all && ends.includes('succeeded'),
  always: () => true,
};

function failed(end: string): boolean {
  return ['failed', 'cancelled', 'upstream-failed'].includes(end);
}

const OVER = ['succeeded', 'failed', 'cancelled', 'skipped', 'upstream-failed'];

/** Its version; runs of graphs whose teardowns wait for each other are left out, as they are when they are registered. */
async function versionFor(
  shapes: readonly Shape[],
  rules: readonly TriggerRule[],
): Promise<Version> {
  try {
    return await versionOf(tasksOf(shapes, rules));
  } catch (error) {
    fc.pre(!(error instanceof SignalboxError));
    throw error;
  }
}

/** Plays a run and checks every step against the model. */
class Model {
  readonly shapes: readonly Shape[];
  version: Version;
  vector: Uint8Array;
  end: RunPlan['end'] = null;
  cancelling = false;
  readonly attempts = new Map<number, number>();
  /** Attempts under way, with the retries that they have left. */
  readonly live = new Map<number, { attempt: number; retriesLeft: number; lost: number }>();

  constructor(shapes: readonly Shape[], version: Version) {
    this.shapes = shapes;
    this.version = version;
    this.vector = firstVector(version);
    for (const root of version.roots) this.#started(root, 1, version.tasks[root]?.retries ?? 0, 0);
  }

  stateOf(task: number): string {
    return taskStateOf(this.vector[task] ?? 0);
  }

  #started(task: number, attempt: number, retriesLeft: number, lost: number): void {
    expect(this.live.has(task)).toBe(false);
    this.live.set(task, { attempt, retriesLeft, lost });
  }

  /** Ends some of what runs, in one plan. */
  step(picks: readonly number[]): void {
    const running = [...this.live.keys()];
    const tasks = [...new Set(picks.map((pick) => running[pick % running.length] ?? 0))];
    const ends = tasks.map((task): PlannedEnd => this.#endOf(task));
    for (const task of tasks) this.live.delete(task);
    const before = this.vector;
    this.take(
      planRun(this.version, this.vector, ends, this.cancelling, () => 0),
      before,
    );
  }

  #endOf(task: number): PlannedEnd {
    const base = this.version.tasks[task]?.instance?.of ?? task;
    const shape = this.shapes[base];
    if (!shape) throw new Error(`there is no task ${base}`);
    const { outcomes, items, follow, role } = shape;
    const held = this.live.get(task) ?? { attempt: 1, retriesLeft: 0, lost: 0 };
    const tried = (this.attempts.get(task) ?? 0) + 1;
    this.attempts.set(task, tried);
    const told = outcomes[Math.min(tried, outcomes.length) - 1] ?? 'succeeded';
    // What is handed back is tried again without limit.
    const kind = told === 'handed-back' && tried > outcomes.length ? 'succeeded' : told;
    const end = {
      task,
      kind,
      final: false,
      ...held,
      result: items === 4 ? 'no list' : Array.from({ length: items }),
    };
    if (kind !== 'succeeded' || task !== base) return end;
    const direct = (this.version.dependents[task] ?? []).filter(
      (dependent) => !this.version.tasks[dependent]?.teardown,
    );
    const chosen = direct.filter((_, at) => (follow >> (at % 30)) % 2 === 1);
    if (role === 'branch') return { ...end, branch: { follow: chosen, skipAll: false } };
    if (role === 'short' && follow % 2 === 1)
      return { ...end, branch: { follow: [], skipAll: true } };
    return end;
  }

  cancel(): void {
    this.cancelling = true;
    const { teardowns } = this.version;
    const waiting = [...this.live.keys()].filter(
      (task) => task % 2 === 0 && !teardowns.includes(task),
    );
    for (const task of waiting) this.live.delete(task);
    this.take(planCancel(this.version, this.vector, waiting, false), this.vector);
  }

  take(plan: RunPlan, before: Uint8Array): void {
    expect(this.end).toBe(null);
    for (const next of plan.next) {
      this.#mayStart(plan, next.task, before);
      this.#started(next.task, next.attempt, next.retriesLeft, next.lost);
    }
    this.version = plan.version;
    this.vector = plan.vector;
    this.end = plan.end;
    for (const task of this.live.keys()) expect(this.vector[task]).toBe(LIVE);
    if (this.end === null) expect(this.live.size).toBeGreaterThan(0);
    else this.#isOver();
  }

  /** No task starts before its rule holds. */
  #mayStart({ version, vector }: RunPlan, task: number, before: Uint8Array): void {
    // Another attempt of what ran already.
    if (before[task] === LIVE) return;
    const found = version.tasks[task];
    const own = found?.instance?.of ?? task;
    const gates = version.gates[own] ?? [];
    const ends = gates
      .map((gate) => taskStateOf(vector[gate] ?? 0))
      .filter((end) => OVER.includes(end));
    const teardown = version.tasks[own]?.teardown;
    if (teardown) {
      expect(ends.length).toBe(gates.length);
      const set = teardown.setups.map((setup) => taskStateOf(vector[setup] ?? 0));
      if (set.length > 0) expect(set).toContain('succeeded');
      return;
    }
    expect(this.cancelling).toBe(false);
    const rule = version.tasks[own]?.triggerRule ?? 'all-succeeded';
    if (gates.length > 0) expect(HOLDS[rule](ends, gates.length)).toBe(true);
    if (!found?.instance) return;
    const { map } = version.tasks[own] ?? {};
    const running = [...vector.keys()].filter(
      (each) => version.tasks[each]?.instance?.of === own && vector[each] === LIVE,
    );
    expect(running.length).toBeLessThanOrEqual(map?.concurrency ?? Number.POSITIVE_INFINITY);
    expect(taskStateOf(vector[map?.over ?? -1] ?? 0)).toBe('succeeded');
  }

  /** Every task has ended, and what did not run had a reason. */
  #isOver(): void {
    expect(this.live.size).toBe(0);
    const { version } = this;
    for (const [task] of this.vector.entries()) expect(OVER).toContain(this.stateOf(task));
    const bad = version.tasks.some((task, index) => {
      const forgiven = task.allowFailure || task.teardown;
      return ['failed', 'upstream-failed'].includes(this.stateOf(index)) && !forgiven;
    });
    if (this.cancelling) expect(this.end).toBe('cancelled');
    else if (bad) expect(this.end).toBe('failed');
    else expect(['succeeded', 'skipped', 'cancelled']).toContain(this.end);
    for (const [index, task] of version.base.tasks.entries()) {
      if (this.stateOf(index) !== 'upstream-failed') continue;
      const gates = version.gates[index] ?? [];
      expect([task.key, gates.some((gate) => failed(this.stateOf(gate)))]).toEqual([
        task.key,
        true,
      ]);
    }
  }

  /** Plays to the end; `order` says what ends next. */
  play(order: readonly number[], cancelAt: number): void {
    for (let at = 0; this.end === null; at += 1) {
      expect(at).toBeLessThan(1_000);
      if (at === cancelAt) this.cancel();
      else this.step([order[at % order.length] ?? 0, ...(at % 3 === 0 ? [at] : [])]);
    }
  }
}

const order = fc.array(fc.nat({ max: 50 }), { minLength: 1, maxLength: 30 });

describe('any run of any graph', () => {
  it('ends, starts nothing before its rule holds, and is never stuck', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(shape(TRIGGER_RULES, ROLES, KINDS), { minLength: 1, maxLength: 9 }),
        order,
        fc.integer({ min: 0, max: 60 }),
        async (shapes, picks, cancelAt) => {
          const model = new Model(shapes, await versionFor(shapes, TRIGGER_RULES));
          model.play(picks, cancelAt);
        },
      ),
      { numRuns: 1_500 },
    );
  });

  it('ends again when it is tried once more, and keeps what had succeeded', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(shape(TRIGGER_RULES, ROLES, KINDS), { minLength: 1, maxLength: 8 }),
        order,
        fc.integer({ min: 0, max: 40 }),
        async (shapes, picks, cancelAt) => {
          const model = new Model(shapes, await versionFor(shapes, TRIGGER_RULES));
          model.play(picks, cancelAt);
          if (model.end !== 'failed' && model.end !== 'cancelled') return;
          const pending = reopenedVector(model.version, model.vector);
          model.cancelling = false;
          model.end = null;
          const begun = planBegin(model.version, pending);
          // Nothing of it can run again: then nobody lets it begin.
          if (begun.end !== null) return;
          model.take(begun, pending);
          model.play(picks, -1);
        },
      ),
      { numRuns: 700 },
    );
  });

  it('ends alike in whatever order its tasks end', async () => {
    // Where a failure and a skip meet before a task that needs success, the first of them decides.
    const firm = TRIGGER_RULES.filter((rule) => rule !== 'all-succeeded');
    const kinds = KINDS.filter((kind) => kind !== 'lost' && kind !== 'handed-back');
    await fc.assert(
      fc.asyncProperty(
        fc.array(shape(firm, ['plain', 'setup', 'teardown', 'map'], kinds), {
          minLength: 1,
          maxLength: 9,
        }),
        order,
        order,
        async (shapes, first, second) => {
          const version = await versionFor(shapes, firm);
          const [one, other] = [new Model(shapes, version), new Model(shapes, version)];
          one.play(first, -1);
          other.play(second, -1);
          // Items of a mapped task that never ran are there or not, as its list came before or after.
          const statesOf = (model: Model) =>
            version.tasks.map(({ key }, task) => [key, model.stateOf(task)]);
          expect(statesOf(other)).toEqual(statesOf(one));
          expect(other.end).toBe(one.end);
        },
      ),
      { numRuns: 700 },
    );
  });
});
