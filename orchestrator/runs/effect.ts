/** The effect of an action as it is shown: what changes in each run, and what lies behind that. */

import type { TaskState } from '../../domain/run.ts';
import type { ControlAction, Effect, EffectCounts, RunEffect } from '../../domain/run-control.ts';
import type { Db } from '../store/connection.ts';
import { readAssetsBehind, readChildRuns } from '../store/run-history.ts';
import { tasksBehind } from './select.ts';
import type { Version } from './versions.ts';

/** Tasks, child runs and assets that are listed; all are counted. */
const MAX_LISTED = 1_000;
const MAX_REFUSED = 100;

/** What an action does to one run, with what its graph says lies behind. */
export interface RunPart {
  readonly effect: RunEffect;
  readonly version: Version;
}

export interface Refusal {
  readonly runId: string;
  readonly reason: string;
}

/** Adds up the parts. Reads child runs and assets outside of any transaction. */
export async function toEffect(
  db: Db,
  of: {
    readonly action: ControlAction;
    readonly dryRun: boolean;
    readonly parts: readonly RunPart[];
    readonly refused?: readonly Refusal[];
    readonly nextCursor?: string | null;
  },
): Promise<Effect> {
  const { parts, refused = [] } = of;
  const behind = parts.flatMap(({ effect, version }) => {
    const changed = indexesOf(effect, version);
    return tasksBehind(version, changed).flatMap((task) => {
      const key = version.tasks[task]?.key ?? '';
      return key === '' ? [] : [{ runId: effect.runId, key }];
    });
  });
  const [children, assets] = await Promise.all([
    readChildRuns(
      db,
      parts.map(({ effect }) => effect.runId),
      MAX_LISTED,
    ),
    readAssetsBehind(db, assetsOf(parts), MAX_LISTED),
  ]);
  return {
    ...{ action: of.action, dryRun: of.dryRun },
    runs: cutRuns(parts.map(({ effect }) => effect)),
    refused: refused.slice(0, MAX_REFUSED),
    downstream: {
      tasks: behind.slice(0, MAX_LISTED),
      childRuns: children.runs,
      assets: assets.assets,
    },
    counts: {
      ...countRuns(parts),
      downstreamTasks: behind.length,
      childRuns: children.total,
      assets: assets.total,
      refused: refused.length,
    },
    nextCursor: of.nextCursor ?? null,
  };
}

function indexesOf(effect: RunEffect, version: Version): number[] {
  return effect.tasks.flatMap(({ key }) => version.indexOf.get(key) ?? []);
}

/** Keys of the assets that the changed tasks make. */
function assetsOf(parts: readonly RunPart[]): string[] {
  const keys = new Set<string>();
  for (const { effect, version } of parts) {
    for (const task of indexesOf(effect, version)) {
      const found = version.tasks[task];
      if (found?.kind === 'asset') keys.add(found.key);
    }
  }
  return [...keys];
}

/** Lists at most so many tasks over all runs. */
function cutRuns(effects: readonly RunEffect[]): RunEffect[] {
  let left = MAX_LISTED;
  return effects.map((effect) => {
    const tasks = effect.tasks.slice(0, Math.max(0, left));
    left -= tasks.length;
    const stepsForgotten = effect.stepsForgotten.slice(0, MAX_LISTED);
    return { ...effect, tasks, stepsForgotten };
  });
}

const WAITING: readonly TaskState[] = ['pending', 'ready'];

function countRuns(
  parts: readonly RunPart[],
): Pick<EffectCounts, 'runs' | 'tasks' | 'rerun' | 'stopped' | 'stepsForgotten'> {
  const tasks = parts.flatMap(({ effect }) => effect.tasks);
  return {
    runs: parts.length,
    tasks: tasks.length,
    rerun: tasks.filter(({ from, to }) => WAITING.includes(to) && from !== 'pending').length,
    stopped: tasks.filter(({ stopped }) => stopped).length,
    stepsForgotten: parts.reduce((sum, { effect }) => sum + effect.stepsForgotten.length, 0),
  };
}
