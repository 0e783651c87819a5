/** What is known of the quality of assets' data, and what is reported of assets from outside. */
import type {
  CheckResult,
  CheckSeverity,
  Materialization,
  MetadataPoint,
  Observation,
} from '../../domain/asset.ts';
import type { Run } from '../../domain/run.ts';
import type { Actor, Page, PageQuery } from '../service.ts';

/** What a check said that ran elsewhere. */
export interface ReportedCheck {
  readonly name: string;
  readonly passed: boolean;
  readonly blocking?: boolean;
  readonly severity?: CheckSeverity;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

interface Report {
  /** How new the newest data is, RFC 3339. */
  readonly eventTime?: string;
  readonly dataVersion?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly checks?: readonly ReportedCheck[];
  /** The same report under the same key is one. */
  readonly idempotencyKey?: string;
}

export type ReportedObservation = Report;

export interface ReportedMaterialization extends Report {
  readonly partition?: string;
}

export interface AssetQualityService {
  /** Starts a run that looks at the stored value; all checks, or the named one. */
  runChecks(
    key: string,
    request: { check?: string; idempotencyKey?: string },
    actor: Actor,
  ): Promise<Run>;
  checkResults(key: string, query: PageQuery & { check?: string }): Promise<Page<CheckResult>>;
  /** A fact over time, the newest first. */
  metadataHistory(key: string, name: string, limit: number): Promise<readonly MetadataPoint[]>;
  observations(key: string, query: PageQuery): Promise<Page<Observation>>;
  reportObservation(
    key: string,
    report: ReportedObservation,
    actor: Actor,
  ): Promise<{ observation: Observation; created: boolean }>;
  reportMaterialization(
    key: string,
    report: ReportedMaterialization,
    actor: Actor,
  ): Promise<{ materialization: Materialization; created: boolean }>;
}
