/**
 * Which sign each state of each thing gets, and the word beside it. Shape first, colour second; no data is
 * `unknown` and is never drawn as healthy.
 */
import type { AgentState } from '../../../domain/agent.ts';
import type { Freshness } from '../../../domain/asset.ts';
import type { BackfillItemState, BackfillState } from '../../../domain/backfill.ts';
import type { Severity } from '../../../domain/finding.ts';
import type { Incident } from '../../../domain/incident.ts';
import type { PartitionState } from '../../../domain/partition.ts';
import type { Pool } from '../../../domain/pool.ts';
import type { RunState, TaskState } from '../../../domain/run.ts';
import type { ExecutionStatus, Verdict } from '../../../domain/runbook.ts';
import type { ExpectedRun } from '../../../domain/schedule.ts';
import type { Sensor } from '../../../domain/sensor.ts';

export type SignName = 'clear' | 'moving' | 'caution' | 'danger' | 'degraded' | 'unknown' | 'off';

const RUN: Record<RunState | TaskState, SignName> = {
  scheduled: 'off',
  queued: 'off',
  pending: 'off',
  ready: 'off',
  running: 'moving',
  retrying: 'caution',
  waiting: 'off',
  succeeded: 'clear',
  failed: 'danger',
  lost: 'danger',
  'upstream-failed': 'danger',
  cancelled: 'off',
  skipped: 'off',
};

const FRESHNESS: Record<Freshness, SignName> = {
  fresh: 'clear',
  warning: 'caution',
  stale: 'danger',
  degraded: 'degraded',
  unknown: 'unknown',
};

const PARTITION: Record<PartitionState, SignName> = {
  missing: 'unknown',
  fresh: 'clear',
  stale: 'caution',
  failed: 'danger',
  degraded: 'degraded',
  running: 'moving',
};

const BACKFILL: Record<BackfillState | BackfillItemState, SignName> = {
  pending: 'off',
  running: 'moving',
  paused: 'off',
  cancelling: 'moving',
  succeeded: 'clear',
  failed: 'danger',
  cancelled: 'off',
  skipped: 'off',
};

const AGENT: Record<AgentState, SignName> = {
  online: 'clear',
  late: 'caution',
  lost: 'danger',
  stopped: 'off',
};

const EXECUTION: Record<ExecutionStatus, SignName> = {
  planned: 'off',
  'awaiting-approval': 'caution',
  approved: 'moving',
  rejected: 'off',
  acting: 'moving',
  verifying: 'moving',
  succeeded: 'clear',
  failed: 'danger',
  undone: 'caution',
  skipped: 'off',
};

const VERDICT: Record<Verdict, SignName> = {
  recovered: 'clear',
  'recovered-before-action': 'clear',
  'not-recovered': 'danger',
  worse: 'danger',
  unknown: 'unknown',
};

const SEVERITY: Record<Severity, SignName> = {
  critical: 'danger',
  error: 'danger',
  warning: 'caution',
  info: 'off',
};

const NEARLY_FULL = 0.9;

export const signOfRun = (state: RunState | TaskState): SignName => RUN[state] ?? 'unknown';
export const signOfFreshness = (state: Freshness): SignName => FRESHNESS[state] ?? 'unknown';
export const signOfPartition = (state: PartitionState): SignName => PARTITION[state] ?? 'unknown';
export const signOfBackfill = (state: BackfillState | BackfillItemState): SignName =>
  BACKFILL[state] ?? 'unknown';
export const signOfAgent = (state: AgentState): SignName => AGENT[state] ?? 'unknown';
export const signOfExecution = (state: ExecutionStatus): SignName => EXECUTION[state] ?? 'unknown';
export const signOfVerdict = (verdict: Verdict): SignName => VERDICT[verdict] ?? 'unknown';

/** An incident that is being worked on moves; one that waits shows its severity. */
export function signOfIncident(incident: Pick<Incident, 'status' | 'severity'>): SignName {
  if (incident.status === 'resolved') return 'clear';
  if (incident.status === 'mitigating') return 'moving';
  if (incident.status === 'mitigated') return 'degraded';
  return SEVERITY[incident.severity] ?? 'unknown';
}

/** What a schedule called for: a run, none by its own policy, or none that anybody wanted. */
export function signOfExpected({
  outcome,
  reason,
  madeGood,
}: Pick<ExpectedRun, 'outcome' | 'reason' | 'madeGood'>): SignName {
  if (madeGood) return 'clear';
  if (outcome === 'run') return reason === null ? 'clear' : 'caution';
  if (outcome === 'missed') return 'danger';
  return outcome === 'dropped' ? 'caution' : 'off';
}

/** A sensor, with the word that stands beside its sign. */
export function signOfSensor({
  paused,
  failures,
  looking,
  lastLookAt,
  kind,
}: Pick<Sensor, 'paused' | 'failures' | 'looking' | 'lastLookAt' | 'kind'>): {
  readonly sign: SignName;
  readonly word: string;
} {
  if (paused) return { sign: 'off', word: 'paused' };
  if (failures > 0) return { sign: 'danger', word: 'failing' };
  if (looking) return { sign: 'moving', word: 'looking' };
  if (kind === 'push') return { sign: 'clear', word: 'listening' };
  return lastLookAt === null
    ? { sign: 'unknown', word: 'never looked' }
    : { sign: 'clear', word: 'watching' };
}

/** A pool by how full it is. One that must be measured and was not is unknown; task slots the server counts itself. */
export function signOfPool(
  pool: Pick<Pool, 'kind' | 'used' | 'waiting' | 'max' | 'at' | 'created'>,
): SignName {
  if (pool.created === false) return 'off';
  if (pool.at === null && pool.kind !== 'task-slots') return 'unknown';
  if (pool.max === null || pool.max === 0) return pool.waiting > 0 ? 'caution' : 'clear';
  if (pool.waiting > 0 && pool.used >= pool.max) return 'danger';
  if (pool.waiting > 0 || pool.used / pool.max >= NEARLY_FULL) return 'caution';
  return 'clear';
}

/** From worst to best, to choose the sign of many. */
const WORST_FIRST: readonly SignName[] = [
  'danger',
  'degraded',
  'caution',
  'unknown',
  'moving',
  'off',
  'clear',
];

/** The sign of a group: the worst of its members'. */
export function worstSign(signs: Iterable<SignName>): SignName {
  const present = new Set(signs);
  return WORST_FIRST.find((sign) => present.has(sign)) ?? 'unknown';
}
