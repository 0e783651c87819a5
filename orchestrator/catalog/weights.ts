/**
 * Weights of tasks, as Airflow has them: what a task's priority is made of is its own weight, or the sum of the weights
 * of all tasks after it (or before it) and its own. It is added up once, when a version is compiled, so that claims
 * go by a plain number. Each task counts once, by however many ways it is reached.
 *
 * Sets of tasks are bits, a block of columns after the other, so that the largest graph takes a few megabytes and a
 * fraction of a second.
 */
import type { WeightRule } from '../../domain/task-graph.ts';

interface Weighted {
  readonly after: readonly number[];
  readonly priority: number;
  readonly priorityWeight?: number;
  readonly weightRule?: WeightRule;
}

/** A task without a weight counts so much in a workflow that has some; as in Airflow. */
const DEFAULT_WEIGHT = 1;
const DEFAULT_RULE: WeightRule = 'downstream';
/** A run's own priority is added to it, and the sum is a 16-bit number. */
const MOST = 30_000;

const BYTES = 256;
const COLUMNS = BYTES * 8;
const VALUES = 256;

/** The tasks with priorities that hold their weights; the very same ones where no task tells a weight or a rule. */
export function withWeights<T extends Weighted>(tasks: readonly T[]): readonly T[] {
  const has = tasks.some(
    ({ priorityWeight, weightRule }) => priorityWeight !== undefined || weightRule !== undefined,
  );
  if (!has) return tasks;
  const weights = tasks.map(({ priorityWeight }) => priorityWeight ?? DEFAULT_WEIGHT);
  const rules = tasks.map(({ weightRule }) => weightRule ?? DEFAULT_RULE);
  const before = tasks.map(({ after }) => after);
  const order = topological(before);
  const upstream = rules.includes('upstream') ? sums(order, before, weights) : [];
  const downstream = rules.includes('downstream')
    ? sums([...order].reverse(), reversed(before), weights)
    : [];
  const others = { absolute: [] as readonly number[], upstream, downstream };
  return tasks.map((task, index) => {
    const sum = (weights[index] ?? 0) + (others[rules[index] ?? DEFAULT_RULE][index] ?? 0);
    return { ...task, priority: Math.max(-MOST, Math.min(MOST, task.priority + sum)) };
  });
}

function reversed(edges: readonly (readonly number[])[]): readonly (readonly number[])[] {
  const back = edges.map((): number[] => []);
  for (const [index, others] of edges.entries()) {
    for (const other of others) back[other]?.push(index);
  }
  return back;
}

/** Tasks in an order in which each stands behind all that it comes after; the graph has no circle. */
function topological(before: readonly (readonly number[])[]): readonly number[] {
  const left = before.map(({ length }) => length);
  const dependents = reversed(before);
  const order = left.flatMap((count, index) => (count === 0 ? [index] : []));
  for (let at = 0; at < order.length; at += 1) {
    for (const dependent of dependents[order[at] ?? 0] ?? []) {
      const remaining = (left[dependent] ?? 0) - 1;
      left[dependent] = remaining;
      if (remaining === 0) order.push(dependent);
    }
  }
  return order;
}

/**
 * For each task the weights of all that it reaches, without its own.
 * @param order each task behind those that its edges lead to
 */
function sums(
  order: readonly number[],
  edges: readonly (readonly number[])[],
  weights: readonly number[],
): readonly number[] {
  const total = weights.map(() => 0);
  for (let first = 0; first < weights.length; first += COLUMNS) {
    const reached = new Uint8Array(weights.length * BYTES);
    const words = new Uint32Array(reached.buffer);
    const table = tableOf(weights, first);
    for (const task of order) {
      for (const other of edges[task] ?? []) {
        const [to, from] = [(task * BYTES) / 4, (other * BYTES) / 4];
        for (let word = 0; word < BYTES / 4; word += 1) {
          words[to + word] = (words[to + word] ?? 0) | (words[from + word] ?? 0);
        }
        const column = other - first;
        if (column < 0 || column >= COLUMNS) continue;
        const place = task * BYTES + (column >> 3);
        reached[place] = (reached[place] ?? 0) | (1 << (column & 7));
      }
      let sum = 0;
      for (let byte = 0; byte < BYTES; byte += 1) {
        sum += table[byte * VALUES + (reached[task * BYTES + byte] ?? 0)] ?? 0;
      }
      total[task] = (total[task] ?? 0) + sum;
    }
  }
  return total;
}

/** For each byte of a block, and each value that it can have, the weights of its bits. */
function tableOf(weights: readonly number[], first: number): Float64Array {
  const table = new Float64Array(BYTES * VALUES);
  for (let byte = 0; byte < BYTES; byte += 1) {
    for (let value = 1; value < VALUES; value += 1) {
      const bit = 31 - Math.clz32(value & -value);
      const weight = weights[first + byte * 8 + bit] ?? 0;
      table[byte * VALUES + value] = (table[byte * VALUES + (value & (value - 1))] ?? 0) + weight;
    }
  }
  return table;
}
