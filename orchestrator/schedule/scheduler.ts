/**
 * Triggers what is due. A schedule's row is locked while its runs are made and its next run is set, all in one
 * transaction; besides, each run carries a key of its logical date. So two servers, or one that died in between,
 * never make a run twice, and none is skipped.
 *
 * The clock is not trusted: after a jump forward (or a long stop) what was missed is one run without catchup,
 * each of them with; after a jump back the next runs are computed anew, and their keys keep what has run from
 * running again.
 */
import { type Clock, type EpochMs, toRfc3339 } from '../../domain/time.ts';
import type { AnnounceRuns, CreatedRun, CreateRuns, RunRequest } from '../runs/trigger.ts';
import type { Reconciler } from '../service.ts';
import type { Db, Tx } from '../store/connection.ts';
import {
  claimDue,
  claimLaterThan,
  type DueRow,
  type NextRun,
  readEarliestDue,
  setNextRuns,
} from '../store/schedule.ts';
import { type Due, dueIntervals, intervalAfter } from './cron.ts';

const EVERY_MS = 1_000;
/** Schedules in one transaction. */
const BATCH = 200;
/** Intervals of one schedule that are caught up on in one transaction; the rest follows at once. */
const CATCHUP_AT_ONCE = 50;
const MAX_ROUNDS = 1_000;
/** When to look again at what is due, but whose row another transaction holds. */
const HELD_BY_OTHER_MS = 100;
/** A step back of the clock that is more than its usual corrections. */
const JUMP_BACK_MS = 2_000;

export interface SchedulerDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly createRuns: CreateRuns;
  readonly announceRuns: AnnounceRuns;
  defaultParameters(schema: Readonly<Record<string, unknown>> | null): Record<string, unknown>;
  log(message: string): void;
}

export interface Scheduler {
  readonly reconciler: Reconciler;
  /** Something may be due earlier than was thought. */
  nudge(): void;
  close(): Promise<void>;
}

export function createScheduler(deps: SchedulerDeps): Scheduler {
  const { db, clock } = deps;
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
      if (!(await triggerDue(deps))) break;
    }
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
async function triggerDue(deps: SchedulerDeps): Promise<boolean> {
  const now = deps.clock.now();
  const { created, more } = await deps.db.transaction(async (tx) => {
    const rows = await claimDue(tx, new Date(now), BATCH);
    const due = rows.map((row) => ({ row, due: dueOf(row, now, deps.log) }));
    const runs = await makeRuns(tx, deps, due);
    if (rows.length > 0)
      await setNextRuns(
        tx,
        due.map(({ row, due: { next } }) => nextRun(row, next)),
      );
    return {
      created: runs,
      more:
        rows.length === BATCH || due.some(({ due: { next } }) => next !== null && next.end <= now),
    };
  });
  if (created.length > 0) deps.announceRuns(created);
  return more;
}

function dueOf(row: DueRow, now: EpochMs, log: (message: string) => void): Due {
  const from = { start: row.next_logical_date.getTime(), end: row.next_run_at.getTime() };
  try {
    return dueIntervals(row.schedule, from, now, CATCHUP_AT_ONCE);
  } catch (error) {
    // Registration lets no such schedule in; were there one, the others must go on.
    log(
      `the schedule of ${row.name} cannot be read: ${error instanceof Error ? error.message : error}`,
    );
    return { intervals: [], next: null };
  }
}

function makeRuns(
  tx: Tx,
  deps: SchedulerDeps,
  due: readonly { row: DueRow; due: Due }[],
): Promise<readonly CreatedRun[]> {
  const requests = due.flatMap(({ row, due: { intervals } }) => {
    const parameters = deps.defaultParameters(row.parameters);
    return intervals.map(({ start, end }): RunRequest => {
      const dataInterval = {
        start: new Date(start).toISOString(),
        end: new Date(end).toISOString(),
      };
      return {
        workflow: row.name,
        versionId: row.version_id,
        maxActiveRuns: row.max_active_runs,
        parameters,
        trigger: 'schedule',
        logicalDate: start,
        dataInterval,
        idempotencyKey: `schedule:${dataInterval.start}`,
      };
    });
  });
  return requests.length === 0 ? Promise.resolve([]) : deps.createRuns(tx, requests);
}

function nextRun(row: Pick<DueRow, 'name'>, next: Due['next']): NextRun {
  return {
    name: row.name,
    next_run_at: next && toRfc3339(next.end),
    next_logical_date: next && toRfc3339(next.start),
  };
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
        return first && first.end < row.next_run_at.getTime() ? [nextRun(row, first)] : [];
      });
      if (next.length > 0) await setNextRuns(tx, next);
      after = rows.at(-1)?.name ?? after;
      return rows.length === BATCH;
    });
  }
}
