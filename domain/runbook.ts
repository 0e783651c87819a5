/**
 * The form of a runbook: plan (read only), act (idempotent calls that compare before they change), verify by
 * the evidence that opened the incident, undo. An execution of it is a durable flow run of its own.
 */
import type { Finding, IncidentKind, Subject } from './finding.ts';
import type { Incident } from './incident.ts';
import type { Levers } from './levers.ts';
import type { Clock } from './time.ts';

export const RUNBOOK_MODES = ['observe', 'suggest', 'approve', 'auto'] as const;
/** observe: only say it would apply; suggest: make the plan; approve: act once approved; auto: act within the guardrails. */
export type RunbookMode = (typeof RUNBOOK_MODES)[number];

/** One exact call that a plan wants to make. */
export interface PlannedCall {
  /** Stable within the plan; the durable step's key. */
  readonly key: string;
  /** What it does, for a person: `raise pool orders 20 → 40`. */
  readonly summary: string;
  readonly lever: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly before: unknown;
  readonly after: unknown;
  readonly undo: string | null;
}

/** What a runbook is going to do, what lies downstream, and why it chose this. */
export interface Plan {
  readonly runbook: string;
  readonly version: string;
  readonly diagnosis: string;
  readonly reasons: readonly string[];
  readonly calls: readonly PlannedCall[];
  readonly affected: readonly Subject[];
  readonly owners: readonly string[];
  /** Null where there is something to do; else the named reason why nothing should be done. */
  readonly refusal: string | null;
}

export const VERDICTS = [
  'recovered',
  'recovered-before-action',
  'not-recovered',
  'worse',
  'unknown',
] as const;
export type Verdict = (typeof VERDICTS)[number];

export const EXECUTION_STATUSES = [
  'planned',
  'awaiting-approval',
  'approved',
  'rejected',
  'acting',
  'verifying',
  'succeeded',
  'failed',
  'undone',
  'skipped',
] as const;
export type ExecutionStatus = (typeof EXECUTION_STATUSES)[number];

export interface CallResult {
  readonly key: string;
  readonly ok: boolean;
  /** e.g. `done`, `already-so`, `state-changed-since-plan`, `refused`. */
  readonly outcome: string;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly at: string;
}

export interface GuardrailState {
  readonly name: string;
  readonly allows: boolean;
  readonly detail: string;
}

export interface Execution {
  readonly id: string;
  readonly incidentId: string | null;
  readonly runbook: string;
  readonly status: ExecutionStatus;
  readonly mode: RunbookMode;
  readonly plan: Plan;
  readonly guardrails: readonly GuardrailState[];
  readonly results: readonly CallResult[];
  readonly runId: string | null;
  readonly requestedBy: string;
  readonly approvedBy: string | null;
  readonly verdict: Verdict | null;
  readonly createdAt: string;
  readonly actedAt: string | null;
  readonly finishedAt: string | null;
}

/** Limits on automatic action. All of them are stored in each decision. */
export interface Guardrails {
  /** No second execution on the same target within this time. */
  readonly cooldownMs: number;
  /** Executions of this runbook in an hour, over all targets. */
  readonly budgetPerHour: number;
  /** Calls in one plan. */
  readonly maxCalls: number;
  /** Stop automatic use after so many failures in a row. */
  readonly stopAfterFailures: number;
}

export interface RunbookContext {
  readonly incident: Incident;
  readonly findings: readonly Finding[];
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly levers: Levers;
  readonly now: number;
  readonly signal: AbortSignal;
}

/** Gives an action durable steps: a call that is recorded as done is not made again after a crash. */
export interface ActContext extends RunbookContext {
  /** Scope for idempotency keys of what the action starts. */
  readonly executionId: string;
  /** Time goes on while an action waits; `now` is the moment at which it began. */
  readonly clock: Clock;
  /** Runs `work` once under the key and records its result. */
  step<T>(key: string, work: () => Promise<T>): Promise<T>;
  /** Polls a condition until it holds or the limit is over; each poll sees the real state. */
  waitUntil(key: string, condition: () => Promise<boolean>, limitMs: number): Promise<boolean>;
  /** Records the outcome of a planned call in the execution and in the incident's timeline. */
  report(result: Omit<CallResult, 'at'>): Promise<void>;
  /** The harm is contained though the cure goes on; stamps the incident's `mitigatedAt` the first time. */
  mitigated(reason: string): Promise<void>;
}

export interface Runbook {
  readonly id: string;
  readonly version: string;
  readonly title: string;
  readonly summary: string;
  readonly kinds: readonly IncidentKind[];
  readonly defaultMode: RunbookMode;
  readonly guardrails: Guardrails;
  /** JSON Schema of the parameters that a person may give. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Whether it has a remedy for this incident (kind and diagnosis). */
  handles(incident: Incident): boolean;
  plan(context: RunbookContext): Promise<Plan>;
  act(context: ActContext, plan: Plan): Promise<void>;
  /** Beyond the evidence query: does the state of the targets say that it worked? */
  confirm(context: RunbookContext, plan: Plan): Promise<{ ok: boolean; detail: string }>;
  undo?(context: ActContext, plan: Plan): Promise<void>;
}
