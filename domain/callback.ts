/**
 * Callbacks: code, or an address, that is told of what became of a run or a task, after it was recorded. They change
 * nothing of the run; each has a key, under which it may come more than once.
 */

export const CALLBACK_OUTCOMES = [
  'succeeded',
  'failed',
  'retry',
  'skipped',
  'cancelled',
  'deadline',
  'held',
] as const;
export type CallbackOutcome = (typeof CALLBACK_OUTCOMES)[number];

/** A callback as it is registered. */
export interface CallbackDefinition {
  /** Names it among those of its workflow: `onFailure`, `load.onFailure`, `onFailure-2`. */
  readonly name: string;
  /** Of this task; absent for the run. */
  readonly task?: string;
  readonly on: CallbackOutcome;
  /** Where it is sent to; absent for code. */
  readonly url?: string;
}

/** What a callback is told. */
export interface CallbackEvent {
  /** The same each time that this is told: what acts on it twice can know. */
  readonly key: string;
  readonly callback: string;
  readonly outcome: CallbackOutcome;
  /** Of a branch, by its plain name; absent in production. */
  readonly environment?: string;
  /** Of what an asset did: the asset's key. */
  readonly workflow: string;
  /** Of a run that never came, and of an asset that no run makes: a name for it. */
  readonly runId: string;
  /** Null for the run itself. */
  readonly task: string | null;
  /** 0 for the run itself. */
  readonly attempt: number;
  /** RFC 3339. */
  readonly at: string;
  readonly logicalDate: string | null;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** `name: message`; of a deadline, why it was missed; of an asset that is held back, by what. */
  readonly error: string | null;
  /** Of an asset that automation holds back. */
  readonly held?: HeldBack;
}

/** Since when, and by what, automation has held an asset (or a partition of it) back. */
export interface HeldBack {
  readonly since: string;
  /** Code of the reason: `upstream-failed`, `upstream-missing`, `paused` … */
  readonly reason: string;
  /** The upstream that it waits for first, and the run that it is about; null where there is none. */
  readonly upstream: string | null;
  readonly runId: string | null;
  readonly partition: string | null;
}

/** A callback that was called for, and what became of it. */
export interface CallbackRecord {
  readonly key: string;
  readonly callback: string;
  readonly outcome: CallbackOutcome;
  readonly task: string | null;
  readonly kind: 'code' | 'webhook';
  readonly state: 'pending' | 'running' | 'succeeded' | 'failed';
  readonly attempts: number;
  readonly error: string | null;
  /** The run that runs the code: its log is the callback's. */
  readonly callbackRunId: string | null;
  /** Where it is sent to, without what may be secret of it. */
  readonly url: string | null;
  readonly createdAt: string;
  readonly endedAt: string | null;
}
