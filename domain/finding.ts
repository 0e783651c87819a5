/**
 * Findings: what a detector says about a moment. A detector is a pure function of what its queries returned,
 * its policy and a time; so it runs live, in a drill and over history alike.
 */
import type { EpochMs } from './time.ts';

export const INCIDENT_KINDS = [
  'pool-exhaustion',
  'duplicate-runs',
  'stale-asset',
  'agent-lost',
  'stuck-run',
  'missed-schedule',
  'sla-miss',
  'check-failed',
  'failure-rate',
  'duration-anomaly',
  'queue-starved',
  'scheduler-stalled',
  'telemetry-silent',
] as const;
export type IncidentKind = (typeof INCIDENT_KINDS)[number];

export const SEVERITIES = ['critical', 'error', 'warning', 'info'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** What an incident is about: `{type: 'pool', id: 'orders'}`. */
export interface Subject {
  readonly type:
    | 'pool'
    | 'run'
    | 'workflow'
    | 'asset'
    | 'agent'
    | 'source'
    | 'queue'
    | 'schedule'
    | 'server';
  readonly id: string;
}

/** What a decision rests on; enough to ask again and get the same answer. */
export interface Evidence {
  readonly detector: string;
  readonly version: string;
  /** The very SQL that was sent to ClickHouse, with `{name:Type}` parameters. */
  readonly query: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** The rows that mattered (at most `MAX_EVIDENCE_ROWS`). */
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly threshold: Readonly<Record<string, unknown>>;
}

export const MAX_EVIDENCE_ROWS = 100;

export interface Finding {
  readonly kind: IncidentKind;
  /** Identity of the trouble over time: the same trouble has the same fingerprint in each round. */
  readonly fingerprint: string;
  /** `unknown`: the preconditions do not hold, nothing can be said; neither opens nor resolves anything. */
  readonly status: 'firing' | 'unknown';
  readonly severity: Severity;
  /** Cause and effect in one sentence. */
  readonly title: string;
  readonly rootCause: string | null;
  /** What the detector takes it for, e.g. `leak` or `saturation`; runbooks choose their remedy by it. */
  readonly diagnosis: string | null;
  readonly subjects: readonly Subject[];
  /** What suffers from it, downstream. */
  readonly affected: readonly Subject[];
  readonly evidence: readonly Evidence[];
  /** First moment at which the evidence allowed the finding. */
  readonly since: EpochMs;
  /** A named reason such as `trend-to-full`, `level-above-threshold`, `heartbeat-missed`. */
  readonly reason: string;
}

/** A query that a detector wants answered before it judges. */
export interface DetectorQuery {
  readonly sql: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** Lineage and policies as they stand at `now`; the part of the world that is not telemetry. */
export interface DetectorContext {
  /** Thresholds, windows, holds: the detector's defaults overlaid by what was set. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly assets: readonly DetectorAsset[];
  readonly now: EpochMs;
}

export interface DetectorAsset {
  readonly key: string;
  readonly policy: import('./asset.ts').FreshnessPolicy;
  readonly upstream: readonly string[];
  /** The outside source it reads, where one is declared. */
  readonly source: string | null;
  readonly owners: readonly string[];
}

export type QueryRows = readonly Readonly<Record<string, unknown>>[];

/** A detector: its queries for a moment, and its pure judgement of what they returned. */
export interface Detector {
  readonly id: string;
  readonly version: string;
  readonly kind: IncidentKind;
  readonly summary: string;
  /** Defaults of all settings; durations in milliseconds end in `Ms`. */
  readonly defaults: Readonly<Record<string, unknown>>;
  queries(context: DetectorContext): Readonly<Record<string, DetectorQuery>>;
  evaluate(
    answers: Readonly<Record<string, QueryRows>>,
    context: DetectorContext,
  ): readonly Finding[];
}
