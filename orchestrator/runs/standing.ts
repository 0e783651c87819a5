/** How a run stands, read under its lock: whoever changes a run by hand decides on this and nothing else. */
import { SignalboxError } from '../../domain/errors.ts';
import type { RunError, RunState } from '../../domain/run.ts';
import type { EpochMs } from '../../domain/time.ts';
import { LIVE, PENDING, RUNNING, SKIPPED, SUCCEEDED } from '../dispatch/task-codes.ts';
import type { Tx } from '../store/connection.ts';
import { lockRun, readLastAttempts } from '../store/run-change.ts';
import { type LiveTask, lockLiveTasks } from '../store/run-control.ts';
import { type LiveRun, lockLiveRuns } from '../store/run-live.ts';
import { expandVersion } from './expansion.ts';
import type { RunInfo, RunInfos } from './run-info.ts';
import type { Version } from './versions.ts';

export interface Standing {
  readonly runId: string;
  readonly info: RunInfo;
  /** The graph of this run, with the instances of its mapped tasks. */
  readonly version: Version;
  readonly versionId: string;
  /** Whether it has not ended. */
  readonly live: boolean;
  readonly state: RunState;
  readonly vector: Uint8Array;
  /** What of it is ready, waits, or runs, by task. */
  readonly tasks: ReadonlyMap<number, LiveTask>;
  /** The last ended attempt of each task that had one. */
  readonly lastAttempts: ReadonlyMap<number, number>;
  readonly cancelReason: string | null;
  readonly paused: boolean;
  readonly error: RunError | null;
  readonly startedAt: EpochMs | null;
}

/**
 * Locks a run and reads how it stands. The row of a live run is locked before that of `run`, as the end of a run
 * does it.
 * @throws SignalboxError `not-found`; `conflict` for a run of another engine
 */
export async function lockStanding(tx: Tx, infos: RunInfos, runId: string): Promise<Standing> {
  await infos.load(tx, [runId]);
  const info = infos.get(runId);
  const live = (await lockLiveRuns(tx, [runId])).get(runId);
  if (live && info) return standingOfLive(tx, info, live);
  const run = await lockRun(tx, runId);
  if (!run) throw new SignalboxError('not-found', `there is no run ${runId}`);
  if (run.engine !== 'signalbox' || !info || run.versionId === null) {
    throw new SignalboxError('conflict', `the run belongs to ${run.engine}`);
  }
  if (run.state === 'active') {
    // It was made live again while its lock was waited for.
    const again = (await lockLiveRuns(tx, [runId])).get(runId);
    if (!again) throw new Error(`run ${runId} is active and has no live row`);
    return standingOfLive(tx, info, again);
  }
  const version = expandVersion(info.version, run.expanded);
  return {
    ...{ runId, info, version, versionId: run.versionId, live: false },
    state: run.state,
    vector: endedVector(version, run.state, run.tasks),
    tasks: new Map(),
    lastAttempts: await lastAttemptsOf(tx, runId),
    ...{ cancelReason: null, paused: false, error: run.error, startedAt: null },
  };
}

async function standingOfLive(tx: Tx, info: RunInfo, live: LiveRun): Promise<Standing> {
  const { runId } = live;
  const rows = await lockLiveTasks(tx, runId);
  return {
    ...{ runId, info, versionId: info.version.id, live: true },
    version: expandVersion(info.version, live.expanded),
    ...{ state: live.state, vector: live.tasks, paused: live.paused },
    ...{ cancelReason: live.cancelReason, error: live.error, startedAt: live.startedAt },
    tasks: new Map(rows.map((row) => [row.task, row])),
    lastAttempts: await lastAttemptsOf(tx, runId),
  };
}

async function lastAttemptsOf(tx: Tx, runId: string): Promise<ReadonlyMap<number, number>> {
  return (await readLastAttempts(tx, [runId])).get(runId) ?? new Map();
}

/** A run that ended keeps no vector where all its tasks ended alike. */
function endedVector(version: Version, state: RunState, stored: Uint8Array | null): Uint8Array {
  if (stored !== null) return stored;
  const code = state === 'succeeded' ? SUCCEEDED : state === 'skipped' ? SKIPPED : PENDING;
  return new Uint8Array(version.tasks.length).fill(code);
}

/** Whether an attempt of the task is under way. */
export function isRunning(standing: Standing, task: number): boolean {
  return standing.vector[task] === LIVE && standing.tasks.get(task)?.state === RUNNING;
}
