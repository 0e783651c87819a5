/** Which tasks of a run an action is for. Pure: keys, and what lies before and behind them in the graph. */
import { SignalboxError } from '../../domain/errors.ts';
import type { EffectReason, TaskSelection } from '../../domain/run-control.ts';
import { isFailure } from '../dispatch/task-codes.ts';
import type { Version } from './versions.ts';

/** Tasks by index, each with why it is among them. */
export type Chosen = Map<number, EffectReason>;

const MAX_NAMED = 20;

/**
 * Tasks that a selection names.
 * @throws SignalboxError `not-found` for a key that the run does not have
 */
export function chooseTasks(version: Version, vector: Uint8Array, of: TaskSelection): Chosen {
  const chosen: Chosen = new Map();
  const named = of.tasks?.map((key) => indexOfTask(version, key));
  for (const task of named ?? allTasks(version)) chosen.set(task, 'selected');
  const starts = [...chosen.keys()];
  if (of.upstream) {
    addReachable(chosen, starts, (task) => version.gates[task] ?? [], 'upstream');
  }
  if (of.downstream) {
    addReachable(chosen, starts, (task) => version.dependents[task] ?? [], 'downstream');
  }
  if (of.onlyFailed) {
    for (const task of chosen.keys()) if (!isFailure(vector[task] ?? 0)) chosen.delete(task);
  }
  return chosen;
}

/** @throws SignalboxError `not-found` that names the tasks there are */
export function indexOfTask(version: Version, key: string): number {
  const index = version.indexOf.get(key);
  if (index !== undefined) return index;
  const keys = [...version.indexOf.keys()];
  const more = keys.length > MAX_NAMED ? `, and ${keys.length - MAX_NAMED} more` : '';
  throw new SignalboxError(
    'not-found',
    `the run has no task ${JSON.stringify(key.slice(0, 200))}; it has ${keys.slice(0, MAX_NAMED).join(', ')}${more}`,
  );
}

function allTasks(version: Version): number[] {
  return [...version.indexOf.values()];
}

/** Adds all that can be reached from these; what is there already keeps its reason. */
function addReachable(
  chosen: Chosen,
  from: readonly number[],
  next: (task: number) => readonly number[],
  reason: EffectReason,
): void {
  const seen = new Set(from);
  const left = [...from];
  for (let task = left.pop(); task !== undefined; task = left.pop()) {
    for (const found of next(task)) {
      if (seen.has(found)) continue;
      seen.add(found);
      left.push(found);
      if (!chosen.has(found)) chosen.set(found, reason);
    }
  }
}

/** What lies behind these tasks and is none of them. */
export function tasksBehind(version: Version, tasks: Iterable<number>): number[] {
  const from = [...tasks];
  const behind: Chosen = new Map(from.map((task) => [task, 'selected' as const]));
  addReachable(behind, from, (task) => version.dependents[task] ?? [], 'downstream');
  return [...behind].flatMap(([task, reason]) => (reason === 'downstream' ? [task] : []));
}

/** Tasks behind these that never ran, through tasks that never ran: with these they are decided anew. */
export function neverRanBehind(
  version: Version,
  tasks: Iterable<number>,
  neverRan: (task: number) => boolean,
): number[] {
  const found = new Set<number>();
  const left = [...tasks];
  const from = new Set(left);
  for (let task = left.pop(); task !== undefined; task = left.pop()) {
    for (const dependent of version.dependents[task] ?? []) {
      if (from.has(dependent) || found.has(dependent) || !neverRan(dependent)) continue;
      found.add(dependent);
      left.push(dependent);
    }
  }
  return [...found];
}
