/**
 * One claim on the database: ready tasks become running in the hands of sessions. A task goes into its run's row
 * where the run is in nobody's hands or in the same ones, and nobody else has the row; else it gets a row of its own.
 * It never waits for the row of a run while it has rows of tasks, so that it is part of no deadlock.
 */
import type { Clock, EpochMs } from '../../domain/time.ts';
import { collectChanges } from '../events/changes.ts';
import type { RunInfos } from '../runs/run-info.ts';
import { findHoldingLease } from '../store/agent-session.ts';
import {
  type ClaimedTask,
  markRunning,
  type PickedRow,
  pickTasks,
  shrinkRows,
  takeTasks,
} from '../store/claim.ts';
import { chargeRates, findLimited, pickLimitedTasks } from '../store/claim-limited.ts';
import { type Db, lookUpByKey, type Tx } from '../store/connection.ts';
import type { HeldEntry } from '../store/held.ts';
import { currentXid, type HeldLiveRun, lockFreeRuns, updateLiveRuns } from '../store/run-live.ts';
import { insertRunning } from '../store/task-live.ts';
import type { DefinitionSet } from './definitions.ts';
import { mayHold } from './draft.ts';
import type { LiveRuns } from './live-runs.ts';
import { type Offer, toAssignment } from './offer.ts';
import { fitsTask, pickFitting } from './pick-fitting.ts';
import type { Tokens } from './tokens.ts';

export interface ClaimDeps {
  /** Connections that may read in the order of an index. */
  readonly claims: Db;
  readonly db: Db;
  readonly clock: Clock;
  readonly infos: RunInfos;
  readonly live: LiveRuns;
  readonly tokens: Tokens;
  /** Runs that became running. */
  started(runIds: readonly string[]): void;
}

/** A task that fills a slot, and the row that it comes from. */
interface Filled<Slot extends Offer> extends ClaimedTask {
  readonly row: PickedRow;
  readonly slot: Slot;
}

interface Claimed<Slot extends Offer> {
  readonly filled: readonly Filled<Slot>[];
  readonly runs: readonly HeldLiveRun[];
  readonly started: readonly string[];
}

/** What slots are claimed for: sessions that have these in common. */
export interface ClaimKind {
  readonly queues: readonly string[];
  readonly labels: readonly string[];
  readonly definitions: DefinitionSet;
}

/**
 * Fills slots in their order and tells the offers.
 * @returns those that were filled
 */
export async function claimFor<Slot extends Offer>(
  deps: ClaimDeps,
  kind: ClaimKind,
  slots: readonly Slot[],
): Promise<readonly Slot[]> {
  if (kind.definitions.memoryOf(kind.queues).restUntil > deps.clock.now()) return [];
  const limited = await findLimited(deps.claims, kind.queues, kind.labels);
  await deps.tokens.ensure(deps.db);
  const { filled, runs, started } = await deps.claims.transaction((tx) =>
    claimIn(deps, tx, kind, slots, new Set(limited)),
  );
  for (const run of runs) deps.live.set(run);
  await deps.infos.loadTasks(deps.db, filled);
  for (const { runId, task, attempt, token, lost, slot } of filled) {
    const info = deps.infos.get(runId);
    const graphTask = info?.version.tasks[task];
    if (!info || !graphTask) continue;
    slot.assignments.push(toAssignment(info, graphTask, attempt, token, lost > 0));
  }
  deps.started(started);
  return filled.map(({ slot }) => slot);
}

async function claimIn<Slot extends Offer>(
  deps: ClaimDeps,
  tx: Tx,
  kind: ClaimKind,
  slots: readonly Slot[],
  limited: ReadonlySet<string>,
): Promise<Claimed<Slot>> {
  const { queues, labels, definitions } = kind;
  const [live, picked] = await Promise.all([
    findHoldingLease(tx, [...new Set(slots.map(({ sessionId }) => sessionId))]),
    pickFitting(deps, tx, kind, (filter) =>
      limited.size > 0
        ? pickLimitedTasks(tx, queues, labels, slots.length, filter)
        : pickTasks(tx, queues, slots.length, filter),
    ),
  ]);
  const valid = slots.filter(({ sessionId }) => live.has(sessionId));
  const filled = fill(deps, definitions, picked, valid);
  if (limited.size > 0) {
    await chargeRates(
      tx,
      filled.map(({ row }) => row.queue),
    );
  }
  if (filled.length === 0) return { filled, runs: [], started: [] };
  const runIds = [...new Set(filled.map(({ runId }) => runId))];
  const [, free] = await Promise.all([lookUpByKey(tx), lockFreeRuns(tx, runIds)]);
  const now = deps.clock.now();
  const { held, rest, runs } = holdAll(deps, filled, free, { now, limited });
  const bundled = rest.filter(({ row }) => row.more.length > 0);
  const single = rest.filter(({ row }) => row.more.length === 0);
  const others = runIds.filter((id) => !runs.has(id));
  const [xid, , , , , running] = await Promise.all([
    currentXid(tx),
    shrinkRows(tx, [...held, ...bundled]),
    updateLiveRuns(tx, [...runs.values()]),
    takeTasks(tx, single),
    insertRunning(tx, bundled),
    markRunning(tx, others),
  ]);
  const begun = [
    ...running,
    ...[...runs.values()].filter(({ runId }) => free.get(runId)?.state !== 'running'),
  ];
  const changes = collectChanges(now);
  for (const { runId, startedAt } of begun) changes.run(runId, { state: 'running', startedAt });
  await changes.append(tx);
  return {
    filled,
    runs: [...runs.values()].map((run) => ({ ...run, xmin: xid })),
    started: begun.map(({ runId }) => runId),
  };
}

/** Gives each slot a task. Of a row that stands for several as many are taken as there are slots, and room. */
function fill<Slot extends Offer>(
  { tokens, infos }: ClaimDeps,
  definitions: DefinitionSet,
  picked: readonly PickedRow[],
  slots: readonly Slot[],
): readonly Filled<Slot>[] {
  const filled: Filled<Slot>[] = [];
  const started = new Map<string, number>();
  for (const row of picked) {
    for (const task of [row.task, ...row.more]) {
      const slot = slots[filled.length];
      if (!slot) return filled;
      if (!fitsTask(infos, definitions, row.runId, task)) continue;
      if (row.room) {
        const count = started.get(row.queue) ?? 0;
        if (count >= row.room.ofQueue || filled.length >= row.room.ofAll) break;
        started.set(row.queue, count + 1);
      }
      const { runId, attempt, lost } = row;
      const { sessionId } = slot;
      filled.push({ runId, task, attempt, lost, sessionId, token: tokens.next(), row, slot });
    }
  }
  return filled;
}

/** Parts what goes into the rows of runs from what gets rows of its own. */
function holdAll<Slot extends Offer>(
  { infos }: ClaimDeps,
  filled: readonly Filled<Slot>[],
  free: ReadonlyMap<string, HeldLiveRun>,
  { now, limited }: { readonly now: EpochMs; readonly limited: ReadonlySet<string> },
) {
  const held: Filled<Slot>[] = [];
  const rest: Filled<Slot>[] = [];
  const runs = new Map<
    string,
    HeldLiveRun & { startedAt: EpochMs; held: Map<number, HeldEntry> }
  >();
  for (const task of filled) {
    const before = free.get(task.runId);
    const info = infos.get(task.runId);
    const known = runs.get(task.runId);
    const holder = known?.holder ?? before?.holder ?? null;
    const entries = known?.held ?? before?.held ?? new Map();
    if (
      !before ||
      !info ||
      before.cancelReason !== null ||
      before.paused ||
      (holder !== null && holder !== task.sessionId) ||
      task.row.pool ||
      limited.has(task.row.queue) ||
      !mayHold(info, task.task, entries)
    ) {
      rest.push(task);
      continue;
    }
    const run = known ?? {
      ...before,
      ...{ state: 'running' as const, startedAt: before.startedAt ?? now },
      ...{ holder: task.sessionId, held: new Map(before.held) },
    };
    runs.set(task.runId, run);
    const { attempt, lost, token, row } = task;
    const { retriesLeft, readyAt } = row;
    run.held.set(task.task, {
      ...{ task: task.task, attempt, retriesLeft, lost, token, readyAt, at: now },
    });
    held.push(task);
  }
  return { held, rest, runs };
}
