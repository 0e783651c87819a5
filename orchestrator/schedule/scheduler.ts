/**
 * Triggers what is due. A schedule's row is locked while its runs are made and its next run is set, all in one
 * transaction; besides, each run carries a key of its logical date. So two servers, or one that died in between,
 * never make a run twice, and none is skipped.
 *
 * What was due and is not run is noted with its reason (`expected_run`), in the same transaction.
 *
 * The clock is not trusted: after a jump forward (or a long stop) what was missed is one run without catchup,
 * each of them with; after a jump back the next runs are computed anew, and their keys keep what has run from
 * running again.
 */
import { SignalboxError } from '../../domain/errors.ts';
import type { Clock, EpochMs } from '../../domain/time.ts';
import { createRunIds } from '../runs/run-id.ts';
import type { AnnounceRuns } from '../runs/trigger.ts';
import type { Reconciler } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { noteSuperseded } from '../store/expected-run.ts';
import { deleteSuperseded, readSuperseded } from '../store/run-overlap.ts';
import { claimDue, claimLaterThan, readEarliestDue, setNextRuns } from '../store/schedule.ts';
import { dueAt, intervalAfter } from './cron.ts';
import { type MakeDueDeps, makeDue, nextRunOf } from './make-due.ts';

const EVERY_MS = 1_000;
/** Schedules in one transaction. */
const BATCH = 200;
const MAX_ROUNDS = 1_000;
/** When to look again at what is due, but whose row another transaction holds. */
const HELD_BY_OTHER_MS = 100;
/** A step back of the clock that is more than its usual corrections. */
const JUMP_BACK_MS = 2_000;

export interface SchedulerDeps extends Omit<MakeDueDeps, 'newId'> {
  readonly db: Db;
  readonly clock: Clock;
  readonly announceRuns: AnnounceRuns;
  /** @throws SignalboxError where it has ended, or is not there */
  cancelRun(runId: string, reason: string): Promise<unknown>;
  changed(topic: 'run', id: string): void;
}

export interface Scheduler {
  readonly reconciler: Reconciler;
  /** Something may be due earlier than was thought. */
  nudge(): void;
  close(): Promise<void>;
}

export function createScheduler(deps: SchedulerDeps): Scheduler {
  const { db, clock } = deps;
  const newId = createRunIds(clock);
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let queued: Promise<void> | undefined;
  let lastLookMs = Number.NEGATIVE_INFINITY;
  let closed = false;

  async function look(): Promise<void> {
    if (closed) return;
    if (clock.now() < lastLookMs - JUMP_BACK_MS) await reschedule(deps);
    lastLookMs = clock.now();
    for (let round = 0; round < MAX_ROUNDS && !closed; round += 1) {
      if (!(await triggerDue(deps, newId))) break;
    }
    await cancelSuperseded(deps);
    const earliest = await readEarliestDue(db);
    if (earliest) wakeAt(earliest.getTime());
  }

  /** Between two looks of the reconciler a timer keeps to the moment. */
  function wakeAt(atMs: EpochMs): void {
    const inMs = atMs - clock.now();
    if (inMs >= EVERY_MS || closed) return;
    clearTimeout(timer);
    timer = setTimeout(nudge, inMs > 0 ? inMs : HELD_BY_OTHER_MS);
    timer.unref();
  }

  /** One look at a time; who comes while one is under way gets the one after it, which may know more. */
  function run(): Promise<void> {
    if (running) {
      queued ??= running.then(startLook, startLook);
      return queued;
    }
    return startLook();
  }

  function startLook(): Promise<void> {
    queued = undefined;
    running = look().finally(() => {
      running = undefined;
    });
    return running;
  }

  function nudge(): void {
    if (closed) return;
    run().catch((error: unknown) =>
      deps.log(
        `looking for due schedules failed: ${error instanceof Error ? error.message : error}`,
      ),
    );
  }

  return {
    reconciler: { name: 'scheduler', everyMs: EVERY_MS, run },
    nudge,
    async close() {
      closed = true;
      clearTimeout(timer);
      await (queued ?? running)?.catch(() => {});
    },
  };
}

/** @returns whether more may be due */
async function triggerDue(deps: SchedulerDeps, newId: () => string): Promise<boolean> {
  const now = deps.clock.now();
  const { made, full } = await deps.db.transaction(async (tx) => {
    const rows = await claimDue(tx, new Date(now), BATCH);
    return {
      made: await makeDue(tx, { ...deps, newId }, rows, now),
      full: rows.length === BATCH,
    };
  });
  if (made.created.length > 0) deps.announceRuns(made.created);
  for (const id of made.skipped) deps.changed('run', id);
  return full || made.more;
}

/** Cancels runs that newer ones of their schedule replace. Asked for twice it does nothing more. */
async function cancelSuperseded({ db, cancelRun, log }: SchedulerDeps): Promise<void> {
  const pairs = await readSuperseded(db, BATCH);
  const done: string[] = [];
  for (const { runId, byRunId } of pairs) {
    try {
      await cancelRun(runId, `run ${byRunId} of its schedule was due (overlap: cancel-running)`);
      done.push(runId);
    } catch (error) {
      // One that has ended meanwhile needs no cancelling.
      if (error instanceof SignalboxError) done.push(runId);
      else
        log(
          `run ${runId} could not be cancelled: ${error instanceof Error ? error.message : error}`,
        );
    }
  }
  if (done.length === 0) return;
  await db.transaction(async (tx) => {
    await noteSuperseded(tx, done);
    await deleteSuperseded(tx, done);
  });
}

/** After a jump back: brings forward each next run that is later than the schedule's first instant from now on. */
async function reschedule(deps: SchedulerDeps): Promise<void> {
  const { db, clock, log } = deps;
  log('the clock went back; the next runs of all schedules are computed anew');
  let after = '';
  for (let more = true; more; ) {
    const now = clock.now();
    more = await db.transaction(async (tx) => {
      const rows = await claimLaterThan(tx, new Date(now), after, BATCH);
      const next = rows.flatMap((row) => {
        const first = intervalAfter(row.schedule, now);
        if (first === null) return [];
        const at = dueAt(row.name, row.schedule, first);
        return at < row.next_run_at.getTime() ? [nextRunOf(row, first)] : [];
      });
      if (next.length > 0) await setNextRuns(tx, next);
      after = rows.at(-1)?.name ?? after;
      return rows.length === BATCH;
    });
  }
}
