/**
 * What the ends of some attempts of a run mean to be written, worked out in memory under the run's lock: log rows,
 * new live tasks, the run's change or end, events, and what is handed straight on.
 */
import type { AssetOutcome } from '../../domain/agent-protocol.ts';
import type { RunError } from '../../domain/run.ts';
import type { EpochMs } from '../../domain/time.ts';
import type { AssetTaskEnd } from '../assets/outcome.ts';
import { keysOfTask } from '../assets/partitions/of-task.ts';
import { producedValue } from '../assets/produced-value.ts';
import type { GraphTask } from '../catalog/graph.ts';
import type { Changes } from '../events/changes.ts';
import { isGated } from '../limits/gates.ts';
import { expandVersion } from '../runs/expansion.ts';
import type { RunInfo } from '../runs/run-info.ts';
import { readyTask } from '../runs/trigger.ts';
import type { Version } from '../runs/versions.ts';
import type { HeldEntry } from '../store/held.ts';
import type { HeldLiveRun, LiveRunChange, RunEnd } from '../store/run-live.ts';
import { type EndedRow, mayHandOn, type NewLiveTask } from '../store/task-live.ts';
import type { LoggedAttempt } from '../store/task-log.ts';
import type { Giving } from './giving.ts';
import type { Offer } from './offer.ts';
import { type PlannedEnd, planRun, type RunPlan } from './plan.ts';
import { findFailure, isForgiven, type PlannedBranch } from './progress.ts';
import { FAILED, LOST, pausedState, READY, RUNNING, SUCCEEDED, taskStateOf } from './task-codes.ts';

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
  /** Which way the run goes on after a branch. */
  readonly branch?: PlannedBranch | null;
  /** Delay before the next attempt that the failure asked for. */
  readonly retryAfterMs?: number | null;
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
  /** Runs whose mapped tasks got their lists: their graphs from now on. */
  readonly expanded: RunInfo[];
  readonly handed: { offer: Offer; info: RunInfo; task: HeldEntry }[];
  /** Slots that it fills. */
  readonly giving: Giving;
  readonly queues: Set<string>;
  retryInMs: number | null;
  changedAssets: readonly string[];
}

/** What drafting asks beside the run itself. */
export interface DraftDeps {
  /** Whether tasks of the queue must be claimed, never handed on: it is paused or has a limit. */
  isLimited(queue: string): boolean;
  /** Whether a task of the queue leaves the slot to a higher queue that the agent serves as well. */
  yields(queue: string, served: ReadonlySet<string> | undefined): boolean;
  random(): number;
}

/** Adds to the draft what these ends of one run's attempts make of it. */
export function draftRun(
  deps: DraftDeps,
  draft: Draft,
  run: HeldLiveRun,
  known: RunInfo,
  ends: readonly { report: EndReport; row: EndedRow }[],
): void {
  const before = expandVersion(known.version, run.expanded);
  const plan = planRun(
    before,
    run.tasks,
    ends.map(({ report, row }) => ({ ...report, ...row, task: report.task })),
    run.cancelReason !== null,
    deps.random,
    run.lastAttempts ?? undefined,
  );
  const { version } = plan;
  const info = version === known.version ? known : { ...known, version };
  if (version !== before) draft.expanded.push(info);
  let error = run.error;
  let result: unknown = null;
  for (const [index, { report, row }] of ends.entries()) {
    const code = plan.codes[index] ?? SUCCEEDED;
    // It never began: the next one has its number.
    if (report.kind === 'undelivered' && code === LOST) continue;
    const attempt = toAttempt(report, row, code, draft.now);
    draft.attempts.push(attempt);
    draft.changes.attempt(report.runId, { ...attempt, code });
    noteFreed(deps, draft, version.tasks[report.task]);
    if (code === SUCCEEDED && report.task === version.last) result = report.result;
    if (!isForgiven(version, report.task)) error ??= failureOf(plan, report, info);
    noteAsset(draft, info, report, plan.vector[report.task] ?? 0, attempt.finishedAt);
  }
  for (const task of plan.upstreamFailed) noteUpstreamFailed(draft, info, task);
  for (const { task, error: why } of plan.refused) {
    noteRefused(draft, info, task, why, run.lastAttempts);
    if (!isForgiven(version, task)) error ??= atTask(info, task, why);
  }
  const hold = new Map(run.held);
  for (const { report, row } of ends) if (row.held) hold.delete(report.task);
  const holder = draftNext(
    deps,
    draft,
    { info, paused: run.paused, holder: run.holder, hold },
    plan,
    ends,
  );
  if (plan.end === null) {
    const state = plan.retrying ? 'retrying' : run.state === 'queued' ? 'running' : run.state;
    const startedAt = run.startedAt ?? draft.now;
    const held = { holder: hold.size === 0 ? null : holder, held: hold };
    draft.going.push({ runId: run.runId, state, tasks: plan.vector, error, startedAt, ...held });
    if (state !== run.state) draft.changes.run(run.runId, { state, startedAt });
    return;
  }
  draftEnd(draft, run, plan, { end: plan.end, error, result });
}

/** The run is over. */
function draftEnd(
  draft: Draft,
  run: HeldLiveRun,
  plan: RunPlan,
  of: { readonly end: RunEnd['state']; readonly error: RunError | null; readonly result: unknown },
): void {
  const { runId } = run;
  const startedAt = run.startedAt ?? draft.now;
  const failure = of.end === 'failed' ? (of.error ?? upstreamError(plan)) : of.error;
  const shown = isGood(plan) ? null : failure;
  draft.ended.push({
    ...{ runId, state: of.end, startedAt, result: of.result },
    error: of.end === 'cancelled' ? cancelledError(run.cancelReason) : shown,
    tasks: plan.vector.every((code) => code === SUCCEEDED) ? null : plan.vector,
  });
  draft.changes.run(runId, {
    ...{ state: of.end, startedAt, finishedAt: draft.now },
    error: shown,
  });
}

function isGood({ end }: RunPlan): boolean {
  return end === 'succeeded' || end === 'skipped';
}

/** Why a run failed of which no task failed that counts: one could not run. */
function upstreamError({ version, vector }: RunPlan): RunError {
  const key = version.tasks[findFailure(version, vector)]?.key ?? '';
  return {
    name: 'UpstreamFailed',
    message: `${key}: it did not run, since something before it failed`,
  };
}

/** A slot of a pool or of a limited queue is free again: whoever waits for it may start. */
function noteFreed(deps: DraftDeps, draft: Draft, task: GraphTask | undefined): void {
  if (!task) return;
  if (task.pool !== null) draft.queues.add('*');
  else if (isGated(task) || deps.isLimited(task.queue)) draft.queues.add(task.queue);
}

/** Why a cancelled run was cancelled, in the place where a failed run has its error. */
export function cancelledError(reason: string | null): RunError {
  return { name: 'Cancelled', message: reason ?? 'a task was cancelled' };
}

function failureOf(plan: RunPlan, report: EndReport, info: RunInfo): RunError | null {
  const state = taskStateOf(plan.vector[report.task] ?? 0);
  if (state !== 'failed' && state !== 'cancelled') return null;
  return atTask(info, report.task, report.error ?? { name: 'TaskFailed', message: state });
}

function atTask(info: RunInfo, task: number, { stack: _, ...error }: RunError): RunError {
  const { message } = error;
  return { ...error, message: `${info.version.tasks[task]?.key ?? ''}: ${message}` };
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

/** A run while its next tasks are given away. */
interface GivenRun {
  readonly info: RunInfo;
  readonly paused: boolean;
  readonly holder: string | null;
  /** What the holder runs of it; takes what it is given. */
  readonly hold: Map<number, HeldEntry>;
}

/** Tasks that a run's row names at most; its size is what each change of it costs. */
const MAX_HELD = 1_000;

/**
 * Gives what became ready to the agents whose attempts made it so, as far as they take it; the rest to any.
 * @returns the session that holds the run now
 */
function draftNext(
  deps: DraftDeps,
  draft: Draft,
  { info, paused, holder: before, hold }: GivenRun,
  plan: RunPlan,
  ends: readonly { report: EndReport }[],
): string | null {
  let holder = hold.size === 0 ? null : before;
  let giver = 0;
  for (const next of plan.next) {
    const task: NewLiveTask = {
      ...readyTask(info.runId, info.version, next.task, info.priority, info.parameters),
      ...next,
    };
    if (paused) {
      draft.tasks.push({ ...task, state: pausedState(next.state) });
      continue;
    }
    while (giver < ends.length && (ends[giver]?.report.offer?.left ?? 0) <= 0) giver += 1;
    const offer =
      mayHandOn(task) &&
      !deps.isLimited(task.queue) &&
      !deps.yields(task.queue, ends[giver]?.report.offer?.queues)
        ? takeSlot(draft.giving, ends[giver]?.report.offer, task, info.version)
        : undefined;
    if (offer) {
      const token = draft.nextToken();
      const { attempt, retriesLeft, lost } = task;
      const entry = {
        task: task.task,
        attempt,
        retriesLeft,
        lost,
        token,
        readyAt: draft.now,
        at: draft.now,
      };
      draft.handed.push({ offer, info, task: entry });
      if (mayHold(info, task.task, hold) && (holder === null || holder === offer.sessionId)) {
        holder = offer.sessionId;
        hold.set(task.task, entry);
      } else {
        draft.tasks.push({ ...task, state: RUNNING, sessionId: offer.sessionId, token });
      }
      continue;
    }
    draft.tasks.push(task);
    if (next.state === READY) draft.queues.add(task.queue);
    else draft.retryInMs = Math.min(draft.retryInMs ?? Number.POSITIVE_INFINITY, next.delayMs);
  }
  return holder;
}

/** A slot of who asked for it, else of a claim that waits. */
function takeSlot(
  giving: Giving,
  asked: Offer | null | undefined,
  { queue, task }: NewLiveTask,
  version: Version,
): Offer | undefined {
  const isFree = asked && asked.left > 0 && asked.queues.has(queue);
  if (!isFree || asked.definitions.fits(version, task) !== true) {
    return giving.takeWaiting(queue, version, task);
  }
  giving.take(asked);
  return asked;
}

/** Whether a task may stand in its run's row: flows are asked for by their rows, with each step. */
export function mayHold(
  { version }: Pick<RunInfo, 'version'>,
  task: number,
  hold: ReadonlyMap<number, HeldEntry>,
): boolean {
  return version.tasks[task]?.kind === 'task' && version.base === version && hold.size < MAX_HELD;
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
  const { error, asset: outcome } = report;
  if (!task) return;
  if (state !== 'succeeded' && state !== 'failed' && state !== 'cancelled') {
    // It is tried again, and yet part of what it makes is there already.
    if (task.kind !== 'asset' || !outcome?.published?.length) return;
    const end = { ...assetEnd(info, task, task.key, at), result: null, outcome, error };
    draft.assets.push({ ...end, state: 'failed', retried: true });
    return;
  }
  if (task.kind === 'asset' || task.kind === 'check') {
    const end = assetEnd(info, task, task.key, at);
    const looked = task.kind === 'check';
    draft.assets.push({ ...end, state, result: report.result, outcome, error, looked });
    return;
  }
  // Items of a mapped task make no version each.
  for (const key of task.instance ? [] : (task.produces ?? [])) {
    const own = outcome?.produced?.[key] ?? null;
    const result = own?.stored
      ? null
      : (own?.value ?? producedValue(report.result, key, task.produces ?? []));
    draft.assets.push({ ...assetEnd(info, task, key, at), state, result, outcome: own, error });
  }
}

/** Logs an attempt of a mapped task that could not begin, so that its page says why. */
function noteRefused(
  draft: Draft,
  { runId }: RunInfo,
  task: number,
  error: RunError,
  lastAttempts: ReadonlyMap<number, number> | null,
): void {
  const { now } = draft;
  const attempt: LoggedAttempt = {
    ...{ runId, task, attempt: (lastAttempts?.get(task) ?? 0) + 1, code: FAILED, error },
    ...{ agent: '', token: '0', readyAt: now, startedAt: now, finishedAt: now, result: null },
  };
  draft.attempts.push(attempt);
  draft.changes.attempt(runId, attempt);
}

function noteUpstreamFailed(draft: Draft, info: RunInfo, index: number): void {
  const task = info.version.tasks[index];
  if (!task) return;
  for (const key of task.kind === 'asset' ? [task.key] : (task.produces ?? [])) {
    draft.assets.push({
      ...assetEnd(info, task, key, draft.now),
      state: 'upstream-failed',
      result: null,
      outcome: null,
      error: null,
    });
  }
}

function assetEnd(info: RunInfo, task: GraphTask, assetKey: string, at: EpochMs) {
  const { dataInterval } = info;
  return {
    assetKey,
    partitions: keysOfTask(info.partitions, assetKey),
    codeVersion: task.asset?.codeVersion ?? null,
    runId: info.runId,
    workflow: info.workflow,
    at,
    dataInterval:
      dataInterval === null
        ? null
        : { start: Date.parse(dataInterval.start), end: Date.parse(dataInterval.end) },
  };
}
