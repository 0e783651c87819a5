/**
 * Pausing a run: nothing new of it starts, what runs goes on, and retries that come due wait. What is ready or waits
 * keeps its place under states of its own (`pausedState`), so that resuming gives back exactly what there was.
 */
import { SignalboxError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/time.ts';
import type { Reconciler } from '../service.ts';
import type { Db, Tx } from '../store/connection.ts';
import {
  holdStrayTasks,
  insertRunAction,
  pauseLiveRun,
  resumeLiveRun,
} from '../store/run-control.ts';
import type { RunPart } from './effect.ts';
import type { RunInfos } from './run-info.ts';
import { lockStanding, type Standing } from './standing.ts';

interface PauseDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly infos: RunInfos;
}

export interface Switched {
  /** Null where the run was so before. */
  readonly part: RunPart | null;
  /** Queues of tasks that may be claimed again. */
  readonly queues: ReadonlySet<string>;
}

interface Asked {
  readonly dryRun: boolean;
  readonly actor: string;
}

const NO_QUEUES: ReadonlySet<string> = new Set();

/** @throws SignalboxError `not-found`, `conflict` for a run that is over or being cancelled */
export function pauseRun(deps: PauseDeps, runId: string, asked: Asked): Promise<Switched> {
  return deps.db.transaction(async (tx) => {
    const standing = await lockStanding(tx, deps.infos, runId);
    refuseEnded(standing);
    if (standing.cancelReason !== null) {
      throw new SignalboxError('conflict', 'the run is being cancelled');
    }
    if (standing.paused) return { part: null, queues: NO_QUEUES };
    if (!asked.dryRun) {
      await pauseLiveRun(tx, runId, asked.actor);
      await note(tx, deps.clock, runId, 'pause', asked.actor);
    }
    return { part: partOf(standing), queues: NO_QUEUES };
  });
}

/** @throws SignalboxError `not-found`, `conflict` for a run that is over */
export function resumeRun(deps: PauseDeps, runId: string, asked: Asked): Promise<Switched> {
  return deps.db.transaction(async (tx) => {
    const standing = await lockStanding(tx, deps.infos, runId);
    refuseEnded(standing);
    if (!standing.paused) return { part: null, queues: NO_QUEUES };
    if (asked.dryRun) return { part: partOf(standing), queues: NO_QUEUES };
    const queues = (await resumeLiveRun(tx, runId)) ?? NO_QUEUES;
    await note(tx, deps.clock, runId, 'resume', asked.actor);
    return { part: partOf(standing), queues };
  });
}

function refuseEnded({ live, state }: Standing): void {
  if (!live) throw new SignalboxError('conflict', `the run is ${state}`);
}

/** The run's state stays what it was; that it is paused is a flag beside it. */
function partOf({ info, version, state }: Standing): RunPart {
  const { runId, workflow, logicalDate } = info;
  const effect = { runId, workflow, logicalDate, from: state, to: state };
  return { version, effect: { ...effect, tasks: [], stepsForgotten: [] } };
}

function note(
  tx: Tx,
  clock: Clock,
  runId: string,
  action: 'pause' | 'resume',
  actor: string,
): Promise<void> {
  return insertRunAction(tx, { runId, at: clock.now(), actor, action, reason: null, detail: {} });
}

const EVERY_MS = 2_000;

/** What was handed back in the very moment of a pause may have missed it; it is put aside here. */
export function createPauseReconciler(db: Db): Reconciler {
  return {
    name: 'paused-runs',
    everyMs: EVERY_MS,
    async run() {
      await holdStrayTasks(db);
    },
  };
}
