/**
 * What flows wait for: events that somebody sends, and inputs that a person gives. Times are RFC 3339 in UTC.
 */

export const WAIT_STATES = ['waiting', 'answered', 'timed-out'] as const;
export type WaitState = (typeof WAIT_STATES)[number];

/** What a person is asked by a run. */
export interface RunInput {
  readonly runId: string;
  readonly key: string;
  readonly state: WaitState;
  readonly message: string | null;
  /** JSON Schema that the value must match; null where anything goes. */
  readonly schema: Readonly<Record<string, unknown>> | null;
  readonly askedAt: string;
  readonly deadline: string | null;
  readonly value: unknown;
  readonly answeredAt: string | null;
  readonly answeredBy: string | null;
}

/** An event for runs that wait for its name. */
export interface EventRequest {
  readonly name: string;
  /** Tells which runs it is for: those that wait with the same text. */
  readonly correlation?: string;
  readonly body?: unknown;
  /** The same key under the same name is the same event. */
  readonly idempotencyKey?: string;
}

export interface EventReceipt {
  /** Decimal text of a 64-bit integer. */
  readonly id: string;
  /** False where its idempotency key had been used. */
  readonly created: boolean;
  /** Runs that waited for it and go on now. */
  readonly woke: readonly string[];
}

// Of the agent protocol -----------------------------------------------------------------------------------

/** Body of `POST waits`. Asked again with the same key until the wait is over; the first asking counts. */
export interface WaitRequest {
  readonly runId: string;
  readonly token: string;
  /** Step key of the wait. */
  readonly key: string;
  readonly kind: 'event' | 'input';
  /** Of an event. */
  readonly name?: string;
  readonly correlation?: string;
  /** What a person is asked, and the JSON Schema of the answer. */
  readonly message?: string;
  readonly schema?: Readonly<Record<string, unknown>>;
  /** From the first asking on; null for no limit. */
  readonly timeoutMs: number | null;
  /** How long the call may wait for its answer. */
  readonly waitMs: number;
}

export interface WaitReply {
  readonly state: 'waiting' | 'answered' | 'timed-out';
  readonly result: unknown;
  /** Until it times out; null for no limit. */
  readonly leftMs: number | null;
}

/** Body of `POST suspend`: the flow holds neither slot nor agent until it goes on, on any agent, by a replay. */
export interface SuspendRequest {
  readonly runId: string;
  readonly taskKey: string;
  readonly token: string;
  /** When it goes on at the latest; null where only an answer wakes it. */
  readonly wakeInMs: number | null;
  /** Whether the answer to one of its waits wakes it. */
  readonly wakes: boolean;
  /** Runs that it started and waits for: the end of one of them wakes it. */
  readonly runs?: readonly string[];
  /** When the time of the attempt is over (epoch ms), where it has a timeout: who goes on with it keeps to that. */
  readonly over?: { readonly attempt: number; readonly at: number };
}

/** `refused`: the run is being cancelled, so the agent is to keep it. */
export interface SuspendReply {
  readonly outcome: 'suspended' | 'refused' | 'lease-lost';
}

/** Body of `POST events`. */
export interface EmitRequest {
  readonly runId: string;
  readonly token: string;
  /** Names the event within its run, so that an attempt that is made again sends it once. */
  readonly key: string;
  readonly name: string;
  readonly correlation?: string;
  readonly body?: unknown;
}
