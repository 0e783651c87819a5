/** Lets runs begin that waited for room. */
import type { Clock } from '../../domain/time.ts';
import { collectChanges } from '../events/changes.ts';
import { lockAndGiveKeys } from '../limits/run-keys.ts';
import type { Db } from '../store/connection.ts';
import { storeExpanded } from '../store/expansion.ts';
import { lockScheduled, queueRuns, readLastAttempts } from '../store/run-change.ts';
import { countActiveRuns } from '../store/run-insert.ts';
import { endRuns, lockLiveRuns, type RunEnd } from '../store/run-live.ts';
import { releaseHolds } from '../store/run-overlap.ts';
import { readRunnable } from '../store/run-workflow.ts';
import { insertLiveTasks } from '../store/task-live.ts';
import { expandVersion } from './expansion.ts';
import type { RunInfos } from './run-info.ts';
import { beginRun } from './settle.ts';

export interface ChangeDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly infos: RunInfos;
}

/** Runs that begin in one transaction. */
const MAX_PROMOTED = 500;

/** Lets runs of the workflow begin that waited for room. */
export async function promoteRuns(
  deps: ChangeDeps,
  workflow: string,
): Promise<{ runs: readonly string[]; queues: ReadonlySet<string> }> {
  return deps.db.transaction(async (tx) => {
    const limit = (await readRunnable(tx, [workflow])).get(workflow)?.maxActiveRuns ?? null;
    await lockAndGiveKeys(tx, workflow);
    const active = limit === null ? 0 : await countActiveRuns(tx, workflow);
    const room = Math.min(MAX_PROMOTED, (limit ?? MAX_PROMOTED) - active);
    await releaseHolds(tx, workflow);
    const waiting = room > 0 ? await lockScheduled(tx, workflow, room) : [];
    const ids = waiting.map(({ runId }) => runId);
    if (ids.length === 0) return { runs: [], queues: new Set<string>() };
    await deps.infos.load(tx, ids);
    const [live, attempts] = await Promise.all([lockLiveRuns(tx, ids), readLastAttempts(tx, ids)]);
    const now = deps.clock.now();
    const changes = collectChanges(now);
    const begun = waiting.flatMap(({ runId, tasks }) => {
      const info = deps.infos.get(runId);
      if (!info) return [];
      const version = expandVersion(info.version, live.get(runId)?.expanded ?? null);
      const before = attempts.get(runId) ?? new Map<number, number>();
      return [{ info, ...beginRun({ ...info, version }, tasks, before) }];
    });
    const going = begun.filter(({ end }) => end === null);
    const tasks = going.flatMap((run) => run.tasks);
    await queueRuns(
      tx,
      going.map(({ info, vector }) => ({ runId: info.runId, tasks: vector })),
    );
    await storeExpanded(
      tx,
      going
        .filter(({ grown }) => grown)
        .map(({ info, version }) => ({ runId: info.runId, version })),
    );
    await insertLiveTasks(tx, tasks);
    await endRuns(tx, begun.flatMap(toEnd), now);
    for (const { info, end } of begun) {
      changes.run(info.runId, end === null ? { state: 'queued' } : { state: end, finishedAt: now });
    }
    await changes.append(tx);
    return { runs: ids, queues: new Set(tasks.map(({ queue }) => queue)) };
  });
}

/** A run that waited may have nothing to do: all that it has left is skipped or can never run. */
function toEnd(begun: {
  readonly info: { readonly runId: string };
  readonly vector: Uint8Array;
  readonly end: RunEnd['state'] | null;
}): RunEnd[] {
  const { info, vector, end } = begun;
  if (end === null) return [];
  const error =
    end === 'failed' ? { name: 'UpstreamFailed', message: 'none of its tasks could run' } : null;
  return [{ runId: info.runId, state: end, startedAt: null, error, result: null, tasks: vector }];
}
