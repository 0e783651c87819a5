/**
 * Records the ends of attempts of many runs in one transaction: only what carries the right token counts, and what
 * became ready is handed to the agent that asked, or made ready for any. Nothing in it depends on how many of the
 * attempts share a run.
 *
 * There are two ways. Where this server wrote the runs' rows last, and they hold just what is reported, everything
 * is worked out on what it has in mind and sent in one packet, which fails where a row is not as it was
 * (`recordUnread`). All else, and what failed so, is done on rows that are locked in id order and read
 * (`recordLocked`); so nobody waits for ever, however many servers work on one run.
 */
import type { Clock } from '../../domain/time.ts';
import type { AssetTaskEnd } from '../assets/outcome.ts';
import { collectChanges } from '../events/changes.ts';
import type { RunInfo, RunInfos } from '../runs/run-info.ts';
import { findHoldingLease } from '../store/agent-session.ts';
import type { Db, Tx } from '../store/connection.ts';
import { storeExpanded } from '../store/expansion.ts';
import type { HeldEntry } from '../store/held.ts';
import {
  currentXid,
  endRuns,
  type HeldLiveRun,
  isConflict,
  lockHeldRuns,
  requireLease,
  updateLiveRuns,
  updateUnreadRuns,
} from '../store/run-live.ts';
import { deleteHeld, type EndedRow, insertLiveTasks } from '../store/task-live.ts';
import { findRecorded, insertAttempts } from '../store/task-log.ts';
import { type Draft, type DraftDeps, draftRun, type EndReport } from './draft.ts';
import { openGiving, type Slots } from './giving.ts';
import type { LiveRuns } from './live-runs.ts';
import { toAssignment } from './offer.ts';
import type { Tokens } from './tokens.ts';

export interface RecordDeps extends DraftDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly infos: RunInfos;
  readonly live: LiveRuns;
  readonly tokens: Tokens;
  /** Claims that wait here. */
  readonly slots: Slots;
  recordAssetOutcomes(tx: Tx, ends: readonly AssetTaskEnd[]): Promise<readonly string[]>;
}

/** What a transaction did that others should hear of. */
export interface Recorded {
  /** Queues that have new ready tasks, or room for them; `*` stands for all. */
  readonly queues: ReadonlySet<string>;
  readonly changedRuns: readonly string[];
  /** Workflows of which runs ended. */
  readonly endedWorkflows: ReadonlySet<string>;
  readonly endedRuns: readonly string[];
  /** The soonest of new retries; null for none. */
  readonly retryInMs: number | null;
  readonly changedAssets: readonly string[];
}

/** An end of an attempt with what was known of the attempt. */
interface RunEnds {
  readonly run: HeldLiveRun;
  readonly info: RunInfo;
  readonly ends: { report: EndReport; row: EndedRow }[];
}

/** Records these ends and sets each one's outcome. Runs must be known to `infos`. */
export async function recordEnds(
  deps: RecordDeps,
  reports: readonly EndReport[],
): Promise<readonly Recorded[]> {
  await deps.tokens.ensure(deps.db);
  const { known, unknown } = splitKnown(deps, reports);
  if (known.length === 0) return [await recordLocked(deps, unknown)];
  const recorded = await recordUnread(deps, known);
  if (recorded === null) return [await recordLocked(deps, reports)];
  return unknown.length === 0 ? [recorded] : [recorded, await recordLocked(deps, unknown)];
}

/**
 * Parts those whose run is in mind, and holds just what is reported, from the rest. All of a run go one way.
 * @returns the known ones by run, in the order of the runs' ids
 */
function splitKnown(
  deps: RecordDeps,
  reports: readonly EndReport[],
): { known: readonly RunEnds[]; unknown: readonly EndReport[] } {
  const byRun = new Map<string, RunEnds | null>();
  const tokens = new Set<string>();
  for (const report of reports) {
    const { runId } = report;
    let ends = byRun.get(runId);
    if (ends === undefined) {
      const run = deps.live.get(runId);
      const info = deps.infos.get(runId);
      ends = run && info ? { run, info, ends: [] } : null;
      byRun.set(runId, ends);
    }
    if (ends === null) continue;
    const entry = ends.run.held.get(report.task);
    const isFirst = !tokens.has(report.token);
    tokens.add(report.token);
    if (isFirst && entry?.token === report.token) {
      ends.ends.push({ report, row: endedRow(entry) });
    } else {
      byRun.set(runId, null);
    }
  }
  const known = [...byRun.values()].filter((ends) => ends !== null);
  known.sort((a, b) => (a.run.runId < b.run.runId ? -1 : 1));
  return {
    known,
    unknown: known.length === byRun.size ? [] : reports.filter(({ runId }) => !byRun.get(runId)),
  };
}

/** @returns null where a row was not as it is in mind: nothing is written then */
async function recordUnread(deps: RecordDeps, known: readonly RunEnds[]): Promise<Recorded | null> {
  const draft = openDraft(deps, deps.slots);
  for (const { run, info, ends } of known) draftRun(deps, draft, run, info, ends);
  // What is recorded of assets must be read first.
  if (draft.assets.length > 0) {
    giveBack(draft);
    return null;
  }
  const xminOf = ({ runId }: { runId: string }) => deps.live.get(runId)?.xmin ?? '';
  const was = { going: draft.going.map(xminOf), ended: draft.ended.map(xminOf) };
  try {
    const xid = await deps.db.batch(async (tx) => {
      const [written] = await Promise.all([
        requireLease(tx, draft.giving.sessions()),
        write(tx, draft, was),
      ]);
      return written;
    });
    for (const { ends } of known) for (const { report } of ends) report.outcome = 'recorded';
    return finish(deps, draft, new Map(known.map(({ run }) => [run.runId, run])), xid);
  } catch (error) {
    giveBack(draft);
    for (const { run } of known) deps.live.forget(run.runId);
    if (isConflict(error)) return null;
    throw error;
  }
}

async function recordLocked(deps: RecordDeps, reports: readonly EndReport[]): Promise<Recorded> {
  let draft = openDraft(deps, null);
  try {
    const { runs, xid } = await deps.db.transaction(async (tx) => {
      giveBack(draft);
      draft = openDraft(deps, null);
      return recordIn(deps, tx, reports, draft);
    });
    return finish(deps, draft, runs, xid);
  } catch (error) {
    giveBack(draft);
    throw error;
  }
}

/** @param slots of waiting claims, beside those that are offered */
function openDraft({ clock, tokens }: RecordDeps, slots: Slots | null): Draft {
  const now = clock.now();
  return {
    now,
    nextToken: () => tokens.next(),
    changedAssets: [],
    attempts: [],
    tasks: [],
    going: [],
    ended: [],
    assets: [],
    changes: collectChanges(now),
    expanded: [],
    handed: [],
    giving: openGiving(slots),
    queues: new Set(),
    retryInMs: null,
  };
}

/** Slots that the draft had filled are free again. */
function giveBack({ giving }: Draft): void {
  giving.giveBack();
}

/** After the commit: what was handed on is told, and the rows are kept in mind. */
function finish(
  deps: RecordDeps,
  draft: Draft,
  runs: ReadonlyMap<string, HeldLiveRun>,
  xmin: string,
): Recorded {
  for (const { offer, info, task } of draft.handed) {
    const graphTask = info.version.tasks[task.task];
    if (!graphTask) continue;
    const { attempt, token, lost } = task;
    offer.assignments.push(toAssignment(info, graphTask, attempt, token, lost > 0));
  }
  for (const change of draft.going) {
    const run = runs.get(change.runId);
    if (run) deps.live.set({ ...run, ...change, xmin });
  }
  for (const info of draft.expanded) {
    deps.infos.add(info);
    deps.live.forget(info.runId);
  }
  for (const { runId } of draft.ended) deps.live.forget(runId);
  draft.giving.settle();
  return summary(deps, draft);
}

function summary(deps: RecordDeps, draft: Draft): Recorded {
  const endedRuns = draft.ended.map(({ runId }) => runId);
  return {
    queues: draft.queues,
    changedRuns: [...endedRuns, ...draft.going.map(({ runId }) => runId)],
    endedWorkflows: new Set(endedRuns.map((runId) => deps.infos.get(runId)?.workflow ?? '')),
    endedRuns,
    retryInMs: draft.retryInMs,
    changedAssets: draft.changedAssets,
  };
}

async function recordIn(
  deps: RecordDeps,
  tx: Tx,
  reports: readonly EndReport[],
  draft: Draft,
): Promise<{ runs: ReadonlyMap<string, HeldLiveRun>; xid: string }> {
  const offers = new Set(reports.flatMap(({ offer }) => offer ?? []));
  const [live, rows, sessions] = await Promise.all([
    lockHeldRuns(tx, new Set(reports.map(({ runId }) => runId))),
    deleteHeld(tx, reports),
    findHoldingLease(tx, [...new Set([...offers].map(({ sessionId }) => sessionId))]),
  ]);
  for (const offer of offers) if (!sessions.has(offer.sessionId)) offer.left = 0;
  for (const report of reports) report.outcome = 'lease-lost';
  const byRun = new Map<string, { report: EndReport; row: EndedRow }[]>();
  for (const { report, row } of [...endedOf(reports, rows), ...heldOf(reports, live)]) {
    report.outcome = 'recorded';
    const ends = byRun.get(report.runId);
    if (ends) ends.push({ report, row });
    else byRun.set(report.runId, [{ report, row }]);
  }
  for (const [runId, ends] of byRun) {
    const run = live.get(runId);
    const info = deps.infos.get(runId);
    if (!run || !info) throw new Error(`run ${runId} has live tasks and no live row`);
    draftRun(deps, draft, run, info, ends);
  }
  const [xid] = await Promise.all([currentXid(tx), write(tx, draft, null)]);
  if (draft.assets.length > 0) {
    draft.changedAssets = await deps.recordAssetOutcomes(tx, draft.assets);
  }
  await findRepeats(tx, reports);
  return { runs: live, xid };
}

function endedOf(reports: readonly EndReport[], rows: readonly EndedRow[]) {
  return rows.flatMap((row) => {
    const report = reports[row.place];
    return report ? [{ report, row }] : [];
  });
}

/** Those that stand in their run's row; of two with one token the first. */
function heldOf(reports: readonly EndReport[], live: ReadonlyMap<string, HeldLiveRun>) {
  const seen = new Set<string>();
  return reports.flatMap((report) => {
    const entry = live.get(report.runId)?.held.get(report.task);
    if (entry?.token !== report.token || seen.has(report.token)) return [];
    seen.add(report.token);
    return [{ report, row: endedRow(entry) }];
  });
}

function endedRow({ attempt, retriesLeft, lost, readyAt, at }: HeldEntry): EndedRow {
  return { place: -1, attempt, retriesLeft, lost, readyAt, startedAt: at, held: true };
}

/** @param was `xmin` of the runs' rows, where nobody locked them */
async function write(
  tx: Tx,
  draft: Draft,
  was: { readonly going: readonly string[]; readonly ended: readonly string[] } | null,
): Promise<void> {
  await Promise.all([
    was ? updateUnreadRuns(tx, draft.going, was.going) : updateLiveRuns(tx, draft.going),
    endRuns(tx, draft.ended, draft.now, was?.ended ?? null),
    insertAttempts(tx, draft.attempts),
    insertLiveTasks(tx, draft.tasks),
    storeExpanded(tx, draft.expanded),
    draft.changes.append(tx),
  ]);
}

/** Tells a completion that was sent twice from one that lost its lease. */
async function findRepeats(tx: Tx, reports: readonly EndReport[]): Promise<void> {
  const refused = reports.filter(({ outcome }) => outcome === 'lease-lost');
  for (const index of await findRecorded(tx, refused)) {
    const report = refused[index];
    if (report) report.outcome = 'already-recorded';
  }
}
