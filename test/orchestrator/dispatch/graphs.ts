/** Graphs for tests of plans: compiled as a server compiles them, and played by hand. */
import type { TaskDefinition } from '../../../domain/agent-protocol.ts';
import { compileGraph } from '../../../orchestrator/catalog/graph.ts';
import { type PlannedEnd, planRun, type RunPlan } from '../../../orchestrator/dispatch/plan.ts';
import { LIVE, taskStateOf } from '../../../orchestrator/dispatch/task-codes.ts';
import { createVersions, type Version } from '../../../orchestrator/runs/versions.ts';
import type { Tx } from '../../../orchestrator/store/connection.ts';
import { taskOf, workflowOf } from '../definitions.ts';

export type TaskInput = Partial<TaskDefinition> & { readonly key: string };

/** A version of a workflow of these tasks. */
export async function versionOf(tasks: readonly TaskInput[]): Promise<Version> {
  const definition = workflowOf('w', { tasks: tasks.map((task) => taskOf(task.key, task)) });
  const graph = JSON.parse(JSON.stringify(compileGraph(definition))) as object;
  const versions = createVersions();
  const row = { id: '1', workflow: 'w', version: 'v', graph };
  await versions.load({ query: async () => [row] } as unknown as Tx, ['1']);
  const version = versions.get('1');
  if (!version) throw new Error('the version was not compiled');
  return version;
}

/** The vector with which a run begins. */
export function firstVector(version: Version): Uint8Array {
  const vector = new Uint8Array(version.tasks.length);
  for (const root of version.roots) vector[root] = LIVE;
  return vector;
}

export type Outcome = Partial<PlannedEnd> & Pick<PlannedEnd, 'kind'>;

/** A run that a test plays: it ends tasks by their keys. */
export class Played {
  version: Version;
  vector: Uint8Array;
  end: RunPlan['end'] = null;
  readonly refused: string[] = [];
  cancelling = false;

  constructor(version: Version) {
    this.version = version;
    this.vector = firstVector(version);
  }

  /** Ends these tasks in one plan. @returns keys of what starts */
  ends(outcomes: Readonly<Record<string, Outcome | PlannedEnd['kind']>>): string[] {
    const ends = Object.entries(outcomes).map(([key, outcome]): PlannedEnd => {
      const task = this.version.indexOf.get(key);
      if (task === undefined) throw new Error(`there is no task ${key}`);
      if (this.vector[task] !== LIVE) throw new Error(`${key} does not run`);
      const given = typeof outcome === 'string' ? { kind: outcome } : outcome;
      return { task, final: false, attempt: 1, retriesLeft: 0, lost: 0, ...given };
    });
    return this.take(planRun(this.version, this.vector, ends, this.cancelling, () => 0));
  }

  take(plan: RunPlan): string[] {
    this.version = plan.version;
    this.vector = plan.vector;
    this.end = plan.end;
    this.refused.push(...plan.refused.map(({ error }) => error.message));
    return plan.next.map(({ task }) => plan.version.tasks[task]?.key ?? '');
  }

  state(key: string): string {
    return taskStateOf(this.vector[this.version.indexOf.get(key) ?? -1] ?? 0);
  }

  /** States by key. */
  states(): Record<string, string> {
    return Object.fromEntries(
      [...this.version.indexOf.keys()].map((key) => [key, this.state(key)]),
    );
  }
}

export async function play(tasks: readonly TaskInput[]): Promise<Played> {
  return new Played(await versionOf(tasks));
}
