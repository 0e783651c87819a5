/** Incidents as the rest of the product uses them. */

import type { Finding } from '../domain/finding.ts';
import type { Incident, IncidentStatus } from '../domain/incident.ts';
import type { Execution, Plan, RunbookMode } from '../domain/runbook.ts';

export interface DetectorSummary {
  readonly id: string;
  readonly version: string;
  readonly kind: string;
  readonly summary: string;
  readonly enabled: boolean;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly defaults: Readonly<Record<string, unknown>>;
  readonly lastRoundAt: string | null;
  readonly lastRoundMs: number | null;
  readonly lastError: string | null;
  readonly state: 'ok' | 'firing' | 'unknown' | 'failed' | 'off';
}

export interface RunbookSummary {
  readonly id: string;
  readonly title: string;
  readonly summary: string;
  readonly kinds: readonly string[];
  readonly mode: RunbookMode;
  readonly guardrails: Readonly<Record<string, unknown>>;
}

export interface IncidentQuery {
  readonly status?: IncidentStatus;
  readonly kind?: string;
  readonly limit?: number;
  readonly cursor?: string;
  /** Only those of this environment, `*` for all; production's unless told. */
  readonly environment?: string;
}

export interface Incidents {
  list(query: IncidentQuery): Promise<{ items: readonly Incident[]; nextCursor: string | null }>;
  get(id: string): Promise<Incident>;
  /** Deletes all incidents of an environment of a branch. */
  forget(environment: string): Promise<void>;
  acknowledge(id: string, actor: string): Promise<Incident>;
  resolve(id: string, actor: string, reason: string): Promise<Incident>;
  note(id: string, actor: string, text: string): Promise<Incident>;
  detectors(): Promise<readonly DetectorSummary[]>;
  setDetector(
    id: string,
    value: { enabled?: boolean; settings?: Record<string, unknown> },
    actor: string,
  ): Promise<DetectorSummary>;
  runbooks(): Promise<readonly RunbookSummary[]>;
  setRunbookMode(id: string, mode: RunbookMode, actor: string): Promise<RunbookSummary>;
  plan(
    runbookId: string,
    request: { incidentId: string; parameters?: Record<string, unknown> },
  ): Promise<Plan>;
  execute(
    runbookId: string,
    request: { incidentId: string; parameters?: Record<string, unknown> },
    actor: string,
  ): Promise<Execution>;
  execution(id: string): Promise<Execution>;
  approve(executionId: string, actor: string): Promise<Execution>;
  reject(executionId: string, actor: string, reason: string): Promise<Execution>;
  setKillSwitch(on: boolean, actor: string): Promise<void>;
  killSwitch(): Promise<boolean>;
  /** The same detector code over recorded telemetry, moment by moment; returns when each finding first fired. */
  backtest(
    detectorId: string,
    fromMs: number,
    toMs: number,
    stepMs?: number,
  ): Promise<readonly (Finding & { at: string })[]>;
  /** Detection and response rounds, run by the server under leases. */
  readonly reconcilers: readonly {
    readonly name: string;
    readonly everyMs: number;
    run(): Promise<void>;
  }[];
  onChange(listener: (change: { topic: 'incident' | 'execution'; id: string }) => void): () => void;
}
