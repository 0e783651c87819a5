/**
 * The gates of a task: limits on how many run at a time, each with a name that all tasks under it share. A task
 * passes them in one order, from the narrowest to the widest, and keeps what it has passed: so two tasks never wait
 * for each other, and one that waits for a narrow gate takes no room of a wide one.
 */
import type { GraphTask } from '../catalog/graph.ts';
import { fillTemplate } from './template.ts';

/** What limits a task beside its pool and its queue. */
export interface TaskLimits {
  readonly gates: readonly { readonly name: string; readonly limit: number }[];
  /** Sorted `name=value`. */
  readonly labels: readonly string[];
}

/** Whether its end makes room for others. */
export function isGated(task: GraphTask): boolean {
  return (
    (task.concurrency ?? task.maxActivePerRun ?? task.maxActive ?? task.maxActiveTasks) !==
    undefined
  );
}

interface GatedRun {
  readonly runId: string;
  readonly workflow: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** Undefined where nothing limits it, as for nearly all tasks. */
export function limitsOf(task: GraphTask, run: GatedRun): TaskLimits | undefined {
  const { concurrency, maxActivePerRun, maxActive, maxActiveTasks, requires } = task;
  if (requires === undefined && !isGated(task)) return undefined;
  // An item of a mapped task counts as the task.
  const key = task.instance?.task ?? task.key;
  const gates: { name: string; limit: number }[] = [];
  if (concurrency) {
    const { scope = 'task', limit } = concurrency;
    const place = { task: `${run.workflow}/${key}`, workflow: run.workflow, global: '' }[scope];
    gates.push({ name: `key ${place}:${fillTemplate(concurrency.key, run)}`, limit });
  }
  if (maxActivePerRun !== undefined) {
    gates.push({ name: `run ${run.runId}/${key}`, limit: maxActivePerRun });
  }
  if (maxActive !== undefined) {
    gates.push({ name: `task ${run.workflow}/${key}`, limit: maxActive });
  }
  if (maxActiveTasks !== undefined) {
    gates.push({ name: `workflow ${run.workflow}`, limit: maxActiveTasks });
  }
  const labels = Object.entries(requires ?? {}).map(([name, value]) => `${name}=${value}`);
  return { gates, labels: labels.sort() };
}
