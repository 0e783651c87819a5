/**
 * Sensors: code that looks for something now and then, and asks for runs. What agents and servers say of them to each
 * other, and how people see them. Times are RFC 3339 in UTC.
 */
import type { RunError } from './run.ts';

/** A sensor as the agent (or the loader) reads it out of a workflow file. */
export interface SensorDefinition {
  /** Workflow of its runs, unless they name another. */
  readonly triggers: string | null;
  readonly everyMs: number;
  readonly timeoutMs: number;
  /** False for one without code: its events start the workflow straight. */
  readonly hasCode: boolean;
}

/** An event that was pushed to a sensor. */
export interface SensorEvent {
  readonly key: string;
  readonly body: unknown;
  readonly at: string;
}

/** A run that a sensor asks for. */
export interface SensorRun {
  readonly workflow?: string;
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** A second run under the key is not made. */
  readonly key: string;
  readonly logicalDate?: string;
  readonly priority?: number;
}

export interface Sensor {
  readonly name: string;
  readonly description: string | null;
  readonly file: string;
  readonly queue: string;
  readonly triggers: string | null;
  /** `push` has no code: its events start the workflow straight. */
  readonly kind: 'poll' | 'push';
  readonly every: string | null;
  readonly paused: boolean;
  readonly cursor: string | null;
  readonly state: unknown;
  readonly lastLookAt: string | null;
  readonly nextLookAt: string | null;
  /** Whether an agent looks now. */
  readonly looking: boolean;
  readonly lastError: RunError | null;
  /** Looks that failed since the last one that did not. */
  readonly failures: number;
  readonly skipReason: string | null;
  readonly lastRuns: readonly {
    readonly runId: string;
    readonly workflow: string;
    readonly key: string;
    readonly at: string;
  }[];
  readonly waitingEvents: number;
  /** Events that the sensor failed with again and again. */
  readonly refusedEvents: number;
}

export interface SensorEventReceipt {
  readonly sensor: string;
  readonly key: string;
  /** False where the key had been used. */
  readonly created: boolean;
  /** Of a push sensor. */
  readonly runId: string | null;
}

// Of the agent protocol -----------------------------------------------------------------------------------

/** Body of `POST looks`: waits for sensors that are due. */
export interface LooksRequest {
  readonly capacity: number;
  readonly waitMs: number;
}

/** A look that the agent is to take. */
export interface Look {
  readonly sensor: string;
  /** Fencing token, decimal text of a 64-bit integer. */
  readonly token: string;
  readonly cursor: string | null;
  readonly state: unknown;
  readonly events: readonly (SensorEvent & { readonly id: string })[];
  readonly timeoutMs: number;
  /** Production unless told. */
  readonly environment?: string;
}

export interface LooksReply {
  readonly looks: readonly Look[];
}

/** Body of `POST looks/complete`. What is absent stays as it was. */
export interface LookEnd {
  readonly sensor: string;
  readonly token: string;
  /** Of the look's events. */
  readonly eventIds: readonly string[];
  readonly error?: RunError;
  readonly runs?: readonly SensorRun[];
  readonly cursor?: string | null;
  readonly state?: unknown;
  readonly skipReason?: string;
}

/** `refused`: nothing was stored but the error, which `detail` tells. */
export interface LookEndReply {
  readonly outcome: 'recorded' | 'refused' | 'lease-lost';
  readonly detail?: string;
}
