/** Weights of tasks, as Airflow adds them up; checked against sums over every way that there is. */
import { workflow } from 'signalbox';
import { describe, expect, it } from 'vitest';
import type { WorkflowDefinition } from '../../../domain/agent-protocol.ts';
import type { WeightRule } from '../../../domain/task-graph.ts';
import { compileGraph } from '../../../orchestrator/catalog/graph.ts';
import { withWeights } from '../../../orchestrator/catalog/weights.ts';
import { waitFor } from '../../support/wait-for.ts';
import { startAgentStand } from '../agent/stand.ts';
import { trigger } from '../dispatch/stand.ts';

type Defined = { readonly described: Omit<WorkflowDefinition, 'file'> };

const prioritiesOf = ({ described }: Defined) =>
  Object.fromEntries(
    compileGraph({ ...described, file: '' }).tasks.map(({ key, priority }) => [key, priority]),
  );

/** extract → clean → load, report; clean weighs 10. */
function pipeline(rule?: WeightRule) {
  return workflow('pipeline', rule ? { weightRule: rule } : {}, (w) => {
    const extract = w.task('extract', {}, () => 1);
    const clean = w.task('clean', { after: [extract], priorityWeight: 10 }, () => 1);
    w.task('load', { after: [clean, extract] }, () => 1);
    w.task('report', { after: [clean], priority: 5 }, () => 1);
  });
}

describe('priorityWeight', () => {
  it('adds the weights of all tasks after a task, unless told otherwise', () => {
    expect(prioritiesOf(pipeline())).toEqual({ extract: 13, clean: 12, load: 1, report: 6 });
  });

  it('adds the weights of all tasks before it, or none, where the rule says so', () => {
    expect(prioritiesOf(pipeline('upstream'))).toEqual({
      ...{ extract: 1, clean: 11, load: 12, report: 17 },
    });
    expect(prioritiesOf(pipeline('absolute'))).toEqual({
      ...{ extract: 1, clean: 10, load: 1, report: 6 },
    });
  });

  it('changes nothing of a workflow that tells no weight and no rule', () => {
    const plain = workflow('plain', {}, (w) => {
      const first = w.task('first', { priority: 3 }, () => 1);
      w.task('second', { after: [first] }, () => 1);
    });
    expect(prioritiesOf(plain)).toEqual({ first: 3, second: 0 });
  });

  it('refuses a weight that is no whole number and a rule that is none', () => {
    const withOption = (options: object) => () =>
      workflow('bad', {}, (w) => void w.task('only', options, () => 1));
    expect(withOption({ priorityWeight: 1.5 })).toThrow('priorityWeight');
    expect(withOption({ weightRule: 'sideways' })).toThrow('weightRule');
  });

  it('counts each task once in graphs of any shape, with weights of any size', () => {
    for (const [count, seed] of [
      [40, 1],
      [300, 2],
      [2_500, 3],
    ] as const) {
      const random = randomFrom(seed);
      const tasks = Array.from({ length: count }, (_, index) => ({
        after: Array.from({ length: index === 0 ? 0 : random(3) }, () => random(index)),
        priority: random(10),
        ...(random(3) === 0 ? { priorityWeight: random(20) - 3 } : {}),
        weightRule: (['downstream', 'upstream', 'absolute'] as const)[random(3)] ?? 'absolute',
      }));
      const weighted = withWeights(tasks).map(({ priority }) => priority);
      for (let sample = 0; sample < 40; sample += 1) {
        const index = random(count);
        expect(weighted[index]).toBe(slowly(tasks, index));
      }
    }
  });

  it('of the largest graph is added up in seconds at most, within what a priority can be', () => {
    const chain = Array.from({ length: 20_000 }, (_, index) => ({
      ...{ after: index === 0 ? [] : [index - 1], priority: 0, priorityWeight: 2 },
    }));
    const startedAt = performance.now();
    const weighted = withWeights(chain);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(weighted[0]?.priority).toBe(30_000);
    expect(weighted.at(-1)?.priority).toBe(2);
    expect(weighted.at(-101)?.priority).toBe(202);
  });

  it('decides which of the ready tasks an agent is given first, and stands in what is shown', async () => {
    await using agents = await startAgentStand();
    const order: string[] = [];
    const weighted = workflow('weighted', {}, (w) => {
      for (const [key, priorityWeight] of [
        ['light', 1],
        ['heavy', 50],
        ['middle', 7],
      ] as const) {
        w.task(key, { priorityWeight }, () => void order.push(key));
      }
    });
    const { orchestrator } = agents.stand;
    await orchestrator.workflows.register([{ ...weighted.described, file: '' }], []);
    const runId = await trigger(orchestrator, 'weighted');
    await agents.start([weighted], { concurrency: 1 });
    await waitFor(async () => (await orchestrator.runs.get(runId)).state === 'succeeded');
    expect(order).toEqual(['heavy', 'middle', 'light']);
    const { tasks, taskCount } = await orchestrator.workflows.get('weighted');
    expect(taskCount).toBe(3);
    expect(tasks).toContainEqual({ key: 'heavy', after: [], priority: 50, priorityWeight: 50 });
  });
});

interface Slow {
  readonly after: readonly number[];
  readonly priority: number;
  readonly priorityWeight?: number;
  readonly weightRule: WeightRule;
}

function slowly(tasks: readonly Slow[], index: number): number {
  const rule = tasks[index]?.weightRule;
  const seen = new Set([index]);
  for (const at of rule === 'absolute' ? [] : seen) {
    const others =
      rule === 'upstream'
        ? (tasks[at]?.after ?? [])
        : tasks.flatMap(({ after }, other) => (after.includes(at) ? [other] : []));
    for (const other of others) seen.add(other);
  }
  const sum = [...seen].reduce((all, at) => all + (tasks[at]?.priorityWeight ?? 1), 0);
  return (tasks[index]?.priority ?? 0) + sum;
}

function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * below);
  };
}
