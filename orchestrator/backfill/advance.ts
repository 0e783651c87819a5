/**
 * One step of one backfill: notes what has ended, starts what there is room for, and ends it when all is done. All of
 * it is one transaction under the lock of the backfill's row, and each run has a key of the backfill and the piece of
 * work. So a server that dies in between, or two at once, start no piece twice.
 *
 * A backfill has a limit of its own in place of `maxActiveRuns`: its runs neither wait for the schedule's nor make
 * those wait. Pools and queues hold for all of them, and its priority is lower.
 */
import type { BackfillRerun } from '../../domain/backfill.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/time.ts';
import type { Parameters } from '../runs/parameters.ts';
import type { CreatedRun, CreateRuns, RunRequest } from '../runs/trigger.ts';
import {
  type BackfillItemRow,
  type BackfillRow,
  findPending,
  findRunning,
  findRunsOfDates,
  findUncancelled,
  hasUnsuccessful,
  lockBackfill,
  moveItems,
  setItems,
  setState,
  settleItems,
} from '../store/backfill.ts';
import type { Db, Tx } from '../store/connection.ts';
import { noteAllMadeGood, noteMadeGood } from '../store/expected-run.ts';
import { type RunnableWorkflow, readRunnable } from '../store/run-workflow.ts';
import { needsRun } from './plan.ts';

export interface AdvanceDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly parameters: Parameters;
  readonly createRuns: CreateRuns;
}

export interface Advanced {
  readonly created: readonly CreatedRun[];
  /** Runs under way. */
  readonly running: readonly string[];
  /** Those of them that are to be cancelled. */
  readonly toCancel: readonly string[];
  /** Whether its state became another. */
  readonly changed: boolean;
}

/** Pieces that are looked at in one go, most of which may turn out to be there already. */
const LOOK_AT_ONCE = 500;

/**
 * @param wait whether to wait for another server that is at it, which may not have seen the newest state
 * @returns undefined where another server is at it, or nothing is to be done
 */
export function advance(
  deps: AdvanceDeps,
  id: string,
  wait: boolean,
): Promise<Advanced | undefined> {
  return deps.db.transaction(async (tx) => {
    const backfill = await lockBackfill(tx, id, wait);
    if (!backfill || backfill.finished_at !== null) return undefined;
    await noteMadeGood(tx, id, await settleItems(tx, id), new Date(deps.clock.now()));
    const running = await findRunning(tx, id);
    if (backfill.state === 'paused') return { created: [], running, toCancel: [], changed: false };
    if (backfill.state === 'cancelling') {
      await moveItems(tx, id, ['pending'], 'cancelled');
      const isOver = running.length === 0;
      if (isOver) await setState(tx, id, 'cancelled', new Date(deps.clock.now()));
      const toCancel = await findUncancelled(tx, running);
      return { created: [], running, toCancel, changed: isOver };
    }
    return start(deps, tx, backfill, running);
  });
}

async function start(
  deps: AdvanceDeps,
  tx: Tx,
  backfill: BackfillRow,
  running: readonly string[],
): Promise<Advanced> {
  const now = new Date(deps.clock.now());
  const fresh: CreatedRun[] = [];
  const under = () => [...running, ...fresh.map(({ run }) => run.id)];
  const workflow = (await readRunnable(tx, [backfill.workflow])).get(backfill.workflow);
  const refusal = refusalOf(deps, backfill, workflow);
  if (refusal !== null || !workflow) {
    await setState(tx, backfill.id, 'failed', now, refusal);
    return { created: [], running, toCancel: [], changed: true };
  }
  let pending = 1;
  for (let room = backfill.concurrency - running.length; room > 0; ) {
    const items = await findPending(tx, backfill.id, LOOK_AT_ONCE);
    pending = items.length;
    if (pending === 0) break;
    const { toSkip, toRun } = await choose(tx, backfill, items, room);
    await setItems(tx, backfill.id, 'skipped', toSkip);
    const seqs = toSkip.map(({ seq }) => seq);
    await noteMadeGood(tx, backfill.id, seqs, now);
    const made = await deps.createRuns(
      tx,
      toRun.map((item) => toRequest(backfill, workflow, item)),
    );
    await setItems(
      tx,
      backfill.id,
      'running',
      toRun.flatMap(({ seq }, index) => {
        const runId = made[index]?.run.id;
        return runId === undefined ? [] : [{ seq, runId }];
      }),
    );
    fresh.push(...made);
    room -= made.length;
  }
  const isOver = pending === 0 && under().length === 0;
  if (isOver) {
    const state = (await hasUnsuccessful(tx, backfill.id)) ? 'failed' : 'succeeded';
    await setState(tx, backfill.id, state, now);
    if (state === 'succeeded') await noteAllMadeGood(tx, backfill.id, now);
  }
  return { created: fresh, running: under(), toCancel: [], changed: isOver };
}

/** Why nothing of it can be started any more; null where it can. */
function refusalOf(
  deps: AdvanceDeps,
  backfill: BackfillRow,
  workflow: RunnableWorkflow | undefined,
): string | null {
  if (!workflow) return `there is no workflow ${backfill.workflow} any more`;
  try {
    deps.parameters.check(workflow.parameters, backfill.parameters);
    return null;
  } catch (error) {
    if (!(error instanceof SignalboxError)) throw error;
    return `its parameters no longer match the workflow’s schema: ${error.detail ?? error.message}`;
  }
}

/** What of the next pieces is there already, and as much of the rest as there is room for, in order. */
async function choose(
  tx: Tx,
  backfill: BackfillRow,
  items: readonly BackfillItemRow[],
  room: number,
): Promise<{ toSkip: { seq: number; runId: string | null }[]; toRun: BackfillItemRow[] }> {
  const dates = items.flatMap(({ logical_date }) => logical_date?.toISOString() ?? []);
  const found = await findRunsOfDates(tx, backfill.workflow, dates);
  const toSkip: { seq: number; runId: string | null }[] = [];
  const toRun: BackfillItemRow[] = [];
  for (const item of items) {
    const run = item.logical_date ? found.get(item.logical_date.getTime()) : undefined;
    if (needsRun(run?.state ?? null, rerunOf(backfill, item))) {
      if (toRun.length >= room) break;
      toRun.push(item);
    } else {
      toSkip.push({ seq: item.seq, runId: run?.runId ?? null });
    }
  }
  return { toSkip, toRun };
}

/** A piece whose own run failed is tried again by who resumes the backfill. */
function rerunOf({ rerun }: BackfillRow, { tries }: BackfillItemRow): BackfillRerun {
  return rerun === 'missing' && tries > 0 ? 'failed' : rerun;
}

function toRequest(
  backfill: BackfillRow,
  workflow: RunnableWorkflow,
  item: BackfillItemRow,
): RunRequest {
  const { logical_date, interval_start, interval_end } = item;
  const again = item.tries === 0 ? '' : `:${item.tries}`;
  return {
    workflow: backfill.workflow,
    versionId: workflow.versionId,
    maxActiveRuns: null,
    parameters: backfill.parameters,
    trigger: 'backfill',
    logicalDate: logical_date?.getTime() ?? null,
    dataInterval:
      interval_start && interval_end
        ? { start: interval_start.toISOString(), end: interval_end.toISOString() }
        : null,
    priority: backfill.priority,
    idempotencyKey: `backfill:${backfill.id}:${item.key}${again}`,
    origin: { kind: 'backfill', backfillId: backfill.id },
  };
}
