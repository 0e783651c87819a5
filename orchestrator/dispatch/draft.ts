/**
 * What the ends of some attempts of a run mean to be written, worked out in memory under the run's lock: log rows,
 * new live tasks, the run's change or end, events, and what is handed straight on.
 */
import type { AssetOutcome } from '../../domain/agent-protocol.ts';
import type { RunError } from '../../domain/run.ts';
import type { EpochMs } from '../../domain/time.ts';
import type { AssetTaskEnd } from '../assets/outcome.ts';
import type { GraphTask } from '../catalog/graph.ts';
import type { Changes } from '../events/changes.ts';
import type { RunInfo } from '../runs/run-info.ts';
import { readyTask } from '../runs/trigger.ts';
import type { LiveRun, LiveRunChange, RunEnd } from '../store/run-live.ts';
import type { EndedRow, NewLiveTask } from '../store/task-live.ts';
import type { LoggedAttempt } from '../store/task-log.ts';
import type { Offer } from './offer.ts';
import { type PlannedEnd, planRun, type RunPlan } from './plan.ts';
import { pausedState, READY, RUNNING, SUCCEEDED, taskStateOf } from './task-codes.ts';

/** The end of an attempt as somebody reports it; `outcome` tells him what became of the report. */
export interface EndReport {
  readonly runId: string;
  readonly task: number;
  readonly token: string;
  readonly kind: PlannedEnd['kind'];
  readonly final: boolean;
  readonly result: unknown;
  readonly error: RunError | null;
  readonly startedAt: EpochMs | null;
  readonly finishedAt: EpochMs | null;
  readonly asset: AssetOutcome | null;
  readonly agent: string;
  readonly offer: Offer | null;
  outcome: 'recorded' | 'already-recorded' | 'lease-lost';
}

/** Everything that the transaction is going to write. */
export interface Draft {
  readonly now: EpochMs;
  nextToken(): string;
  readonly attempts: LoggedAttempt[];
  readonly tasks: NewLiveTask[];
  readonly going: LiveRunChange[];
  readonly ended: RunEnd[];
  readonly assets: AssetTaskEnd[];
  readonly changes: Changes;
  readonly handed: { offer: Offer; info: RunInfo; task: NewLiveTask }[];
  readonly queues: Set<string>;
  retryInMs: number | null;
  changedAssets: readonly string[];
}

/** What drafting asks beside the run itself. */
export interface DraftDeps {
  /** Whether tasks of the queue must be claimed, never handed on: it is paused or has a limit. */
  isLimited(queue: string): boolean;
  random(): number;
}

/** Adds to the draft what these ends of one run's attempts make of it. */
export function draftRun(
  deps: DraftDeps,
  draft: Draft,
  run: LiveRun,
  info: RunInfo,
  ends: readonly { report: EndReport; row: EndedRow }[],
): void {
  const { version } = info;
  const plan = planRun(
    version,
    run.tasks,
    ends.map(({ report, row }) => ({
      ...row,
      task: report.task,
      kind: report.kind,
      final: report.final,
    })),
    run.cancelReason !== null,
    deps.random,
  );
  let error = run.error;
  let result: unknown = null;
  for (const [index, { report, row }] of ends.entries()) {
    const code = plan.codes[index] ?? SUCCEEDED;
    const attempt = toAttempt(report, row, code, draft.now);
    draft.attempts.push(attempt);
    draft.changes.attempt(report.runId, { ...attempt, code });
    noteFreed(deps, draft, version.tasks[report.task]);
    if (code === SUCCEEDED && report.task === version.last) result = report.result;
    error ??= failureOf(plan, report, info);
    noteAsset(draft, info, report, plan.vector[report.task] ?? 0, attempt.finishedAt);
  }
  for (const task of plan.upstreamFailed) noteUpstreamFailed(draft, info, task);
  draftNext(deps, draft, { info, paused: run.paused }, plan, ends);
  if (plan.end === null) {
    const state = plan.retrying ? 'retrying' : run.state === 'queued' ? 'running' : run.state;
    draft.going.push({ runId: run.runId, state, tasks: plan.vector, error });
    if (state !== run.state) draft.changes.run(run.runId, { state, startedAt: run.startedAt });
    return;
  }
  const startedAt = run.startedAt ?? draft.now;
  const shown = plan.end === 'succeeded' ? null : error;
  draft.ended.push({
    runId: run.runId,
    state: plan.end,
    startedAt,
    error: plan.end === 'cancelled' ? cancelledError(run.cancelReason) : shown,
    result,
    tasks: plan.end === 'succeeded' ? null : plan.vector,
  });
  draft.changes.run(run.runId, {
    state: plan.end,
    startedAt,
    finishedAt: draft.now,
    error: shown,
  });
}

/** A slot of a pool or of a limited queue is free again: whoever waits for it may start. */
function noteFreed(deps: DraftDeps, draft: Draft, task: GraphTask | undefined): void {
  if (!task) return;
  if (task.pool !== null) draft.queues.add('*');
  else if (deps.isLimited(task.queue)) draft.queues.add(task.queue);
}

/** Why a cancelled run was cancelled, in the place where a failed run has its error. */
export function cancelledError(reason: string | null): RunError {
  return { name: 'Cancelled', message: reason ?? 'a task was cancelled' };
}

function failureOf(plan: RunPlan, report: EndReport, info: RunInfo): RunError | null {
  const state = taskStateOf(plan.vector[report.task] ?? 0);
  if (state !== 'failed' && state !== 'cancelled') return null;
  const key = info.version.tasks[report.task]?.key ?? '';
  const { name, message } = report.error ?? { name: 'TaskFailed', message: state };
  return { name, message: `${key}: ${message}` };
}

/** Longest attempt that is believed; longer ones are mistakes of a clock. */
const MAX_TOOK_MS = 366 * 86_400_000;

/** The log's row. An agent's clock may be wrong: nothing ends after now, and what it took stays what it took. */
function toAttempt(report: EndReport, row: EndedRow, code: number, now: EpochMs): LoggedAttempt {
  const reported = report.finishedAt ?? now;
  const took = reported - (report.startedAt ?? row.startedAt);
  const tookMs = Math.min(MAX_TOOK_MS, Math.max(0, Number.isFinite(took) ? took : 0));
  const finishedAt = reported <= now && reported > now - MAX_TOOK_MS ? reported : now;
  return {
    runId: report.runId,
    task: report.task,
    attempt: row.attempt,
    code,
    agent: report.agent,
    token: report.token,
    readyAt: row.readyAt,
    startedAt: finishedAt - tookMs,
    finishedAt,
    result: code === SUCCEEDED ? report.result : null,
    error: report.error,
  };
}

/** Gives what became ready to the agents whose attempts made it so, as far as they take it; the rest to any. */
function draftNext(
  deps: DraftDeps,
  draft: Draft,
  { info, paused }: { readonly info: RunInfo; readonly paused: boolean },
  plan: RunPlan,
  ends: readonly { report: EndReport }[],
): void {
  let giver = 0;
  for (const next of plan.next) {
    const task: NewLiveTask = {
      ...readyTask(info.runId, info.version, next.task, info.priority),
      ...next,
    };
    if (paused) {
      draft.tasks.push({ ...task, state: pausedState(next.state) });
      continue;
    }
    while (giver < ends.length && (ends[giver]?.report.offer?.left ?? 0) <= 0) giver += 1;
    const offer = ends[giver]?.report.offer;
    if (
      offer &&
      next.state === READY &&
      task.pool === null &&
      offer.queues.has(task.queue) &&
      !deps.isLimited(task.queue)
    ) {
      offer.left -= 1;
      const running = {
        ...task,
        state: RUNNING,
        sessionId: offer.sessionId,
        token: draft.nextToken(),
      };
      draft.handed.push({ offer, info, task: running });
      draft.tasks.push(running);
      continue;
    }
    draft.tasks.push(task);
    if (next.state === READY) draft.queues.add(task.queue);
    else draft.retryInMs = Math.min(draft.retryInMs ?? Number.POSITIVE_INFINITY, next.delayMs);
  }
}

function noteAsset(
  draft: Draft,
  info: RunInfo,
  report: EndReport,
  code: number,
  at: EpochMs,
): void {
  const task = info.version.tasks[report.task];
  const state = taskStateOf(code);
  if (
    task?.kind !== 'asset' ||
    (state !== 'succeeded' && state !== 'failed' && state !== 'cancelled')
  )
    return;
  draft.assets.push({
    ...assetEnd(info, task.key, at),
    state,
    result: report.result,
    outcome: report.asset,
    error: report.error,
  });
}

function noteUpstreamFailed(draft: Draft, info: RunInfo, index: number): void {
  const task = info.version.tasks[index];
  if (task?.kind !== 'asset') return;
  draft.assets.push({
    ...assetEnd(info, task.key, draft.now),
    state: 'upstream-failed',
    result: null,
    outcome: null,
    error: null,
  });
}

function assetEnd(info: RunInfo, assetKey: string, at: EpochMs) {
  const { dataInterval } = info;
  return {
    assetKey,
    runId: info.runId,
    workflow: info.workflow,
    at,
    dataInterval:
      dataInterval === null
        ? null
        : { start: Date.parse(dataInterval.start), end: Date.parse(dataInterval.end) },
  };
}
