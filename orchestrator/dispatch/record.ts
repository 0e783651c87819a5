/**
 * Records the ends of attempts of many runs in one transaction: their runs' rows are locked in id order, only
 * what carries the right token counts, and what became ready is handed to the agent that asked, or made ready for
 * any. Nothing in it depends on how many of the attempts share a run.
 */
import type { Clock } from '../../domain/time.ts';
import type { AssetTaskEnd } from '../assets/outcome.ts';
import { collectChanges } from '../events/changes.ts';
import type { RunInfos } from '../runs/run-info.ts';
import { findHoldingLease } from '../store/agent-session.ts';
import type { Db, Tx } from '../store/connection.ts';
import { endRuns, lockLiveRuns, updateLiveRuns } from '../store/run-live.ts';
import { deleteHeld, type EndedRow, insertLiveTasks } from '../store/task-live.ts';
import { findRecorded, insertAttempts } from '../store/task-log.ts';
import { type Draft, type DraftDeps, draftRun, type EndReport } from './draft.ts';
import { type Offer, toAssignment } from './offer.ts';
import type { Tokens } from './tokens.ts';

export interface RecordDeps extends DraftDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly infos: RunInfos;
  readonly tokens: Tokens;
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

/** Records these ends and sets each one's outcome. Runs must be known to `infos`. */
export async function recordEnds(
  deps: RecordDeps,
  reports: readonly EndReport[],
): Promise<Recorded> {
  const offers = new Map<Offer, number>();
  for (const { offer } of reports) if (offer) offers.set(offer, offer.left);
  const budget = [...offers.values()].reduce((sum, left) => sum + left, 0);
  try {
    const draft = await deps.db.transaction(async (tx) => {
      for (const [offer, left] of offers) offer.left = left;
      return recordIn(deps, tx, reports, await deps.tokens.take(tx, budget));
    });
    for (const { offer, info, task } of draft.handed) {
      const graphTask = info.version.tasks[task.task];
      if (graphTask) {
        offer.assignments.push(toAssignment(info, graphTask, task.attempt, task.token ?? ''));
      }
    }
    return summary(deps, draft);
  } catch (error) {
    for (const [offer, left] of offers) offer.left = left;
    throw error;
  }
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
  nextToken: () => string,
): Promise<Draft> {
  const offers = new Set(reports.flatMap(({ offer }) => offer ?? []));
  const [live, rows, sessions] = await Promise.all([
    lockLiveRuns(tx, new Set(reports.map(({ runId }) => runId))),
    deleteHeld(tx, reports),
    findHoldingLease(tx, [...new Set([...offers].map(({ sessionId }) => sessionId))]),
  ]);
  for (const offer of offers) if (!sessions.has(offer.sessionId)) offer.left = 0;
  const now = deps.clock.now();
  const draft: Draft = {
    now,
    nextToken,
    changedAssets: [],
    attempts: [],
    tasks: [],
    going: [],
    ended: [],
    assets: [],
    changes: collectChanges(now),
    handed: [],
    queues: new Set(),
    retryInMs: null,
  };
  const byRun = new Map<string, { report: EndReport; row: EndedRow }[]>();
  for (const report of reports) report.outcome = 'lease-lost';
  for (const row of rows) {
    const report = reports[row.place];
    if (!report) continue;
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
  await write(deps, tx, draft);
  await findRepeats(tx, reports);
  return draft;
}

async function write(deps: RecordDeps, tx: Tx, draft: Draft): Promise<void> {
  await Promise.all([
    insertAttempts(tx, draft.attempts),
    insertLiveTasks(tx, draft.tasks),
    updateLiveRuns(tx, draft.going),
    endRuns(tx, draft.ended, draft.now),
    draft.changes.append(tx),
  ]);
  if (draft.assets.length > 0) {
    draft.changedAssets = await deps.recordAssetOutcomes(tx, draft.assets);
  }
}

/** Tells a completion that was sent twice from one that lost its lease. */
async function findRepeats(tx: Tx, reports: readonly EndReport[]): Promise<void> {
  const refused = reports.filter(({ outcome }) => outcome === 'lease-lost');
  for (const index of await findRecorded(tx, refused)) {
    const report = refused[index];
    if (report) report.outcome = 'already-recorded';
  }
}
