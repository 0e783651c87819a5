/**
 * Assets and the truth about their freshness. Freshness looks at event time: when the newest data is from,
 * not when somebody last wrote a row. A fallback is `degraded`, never `fresh`; no data is `unknown`.
 */
import type { AutomationSummary } from './automation.ts';
import type {
  InputVersion,
  PartitionsDefinition,
  PartitionTotals,
  StaleCause,
} from './partition.ts';
import type { EpochMs } from './time.ts';

export const FRESHNESS = ['fresh', 'warning', 'stale', 'degraded', 'unknown'] as const;
export type Freshness = (typeof FRESHNESS)[number];

/** Policy with parsed durations. `deadlineCron` is when data must be there at the latest (UTC). */
export interface FreshnessPolicy {
  readonly warnAfterMs: number | null;
  readonly failAfterMs: number | null;
  readonly deadlineCron: string | null;
  readonly critical: boolean;
  readonly fallback: 'last-good' | null;
}

export const NO_POLICY: FreshnessPolicy = {
  warnAfterMs: null,
  failAfterMs: null,
  deadlineCron: null,
  critical: false,
  fallback: null,
};

/** Where a version of an asset came from; `marked`: a person said that the data is there (`metadata.markedBy`). */
export type Provenance = 'computed' | 'fallback' | 'observed' | 'marked';

/** How much a failed check weighs: a warning, or an error that marks the asset. */
export type CheckSeverity = 'warn' | 'error';

/** What the latest results of an asset's checks add up to; `unknown` where none has run. */
export const CHECK_STATES = ['passing', 'warning', 'failing', 'unknown'] as const;
export type CheckState = (typeof CHECK_STATES)[number];

/** Where an IO manager put a version. The location is JSON without secrets: a path, a table. */
export interface StoredVersion {
  /** `json-file`, `parquet-file`, `postgres-table`, `clickhouse-table`, `custom`, or the manager's own word. */
  readonly kind: string;
  readonly location: Readonly<Record<string, unknown>>;
  readonly rows: number | null;
  readonly sizeBytes: number | null;
  readonly schema: readonly StoredColumn[] | null;
  /** Whether it was written row by row, and is read so. */
  readonly stream: boolean;
}

/** Of a version of which nothing is known but that there is one. */
export const STORED_NOWHERE: StoredVersion = {
  ...{ kind: '', location: {}, rows: null, sizeBytes: null, schema: null, stream: false },
};

export interface StoredColumn {
  readonly name: string;
  readonly type: string;
}

/** One run of a check. */
export interface CheckResult {
  readonly id: string;
  readonly assetKey: string;
  readonly check: string;
  readonly passed: boolean;
  readonly severity: CheckSeverity;
  readonly blocking: boolean;
  readonly at: string;
  readonly runId: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Data that was looked at and not made. `at` is its event time, where that is known. */
export interface Observation {
  readonly id: string;
  readonly assetKey: string;
  readonly at: string | null;
  readonly recordedAt: string;
  readonly runId: string | null;
  readonly dataVersion: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** One value of a metadata entry over time, of a version or of an observation. */
export interface MetadataPoint {
  readonly at: string;
  readonly recordedAt: string;
  readonly source: 'materialization' | 'observation';
  readonly id: string;
  readonly runId: string | null;
  readonly partition: string | null;
  readonly entry: MetadataEntry;
}

export const METADATA_TYPES = [
  'number',
  'text',
  'boolean',
  'markdown',
  'url',
  'json',
  'table',
  'timestamp',
] as const;

/** A fact about a version, with how it wants to be shown. */
export interface MetadataEntry {
  readonly type: (typeof METADATA_TYPES)[number];
  readonly value: unknown;
}

/**
 * A stored fact as a typed entry: numbers, texts and booleans stand for themselves, whatever else has a type of its
 * own is stored as `{ type, value }`, and any other JSON is `json`.
 */
export function readMetadataEntry(value: unknown): MetadataEntry {
  if (typeof value === 'number') return { type: 'number', value };
  if (typeof value === 'string') return { type: 'text', value };
  if (typeof value === 'boolean') return { type: 'boolean', value };
  if (typeof value === 'object' && value !== null && Object.keys(value).length === 2) {
    const { type, value: inner } = value as { type?: unknown; value?: unknown };
    const known = METADATA_TYPES.find((one) => one === type);
    if (known !== undefined && inner !== undefined) return { type: known, value: inner };
  }
  return { type: 'json', value };
}

/** A recorded version of an asset. `at` is its event time. */
export interface Materialization {
  readonly id: string;
  readonly assetKey: string;
  readonly at: string;
  readonly recordedAt: string;
  readonly runId: string | null;
  readonly partition: string | null;
  readonly provenance: Provenance;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Where an IO manager put it; null or absent where Signalbox keeps the value itself. */
  readonly stored?: StoredVersion | null;
  /** The same for two versions whose data is the same. */
  readonly dataVersion?: string;
  /** Version of the code that made it; null where that is not known. */
  readonly codeVersion?: string | null;
  /** Versions of upstreams that it was made from. */
  readonly inputs?: readonly InputVersion[];
}

/** An asset as lists and pages show it. */
export interface Asset {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly description: string | null;
  readonly owners: readonly string[];
  /** Whether it is made elsewhere: it is known, yet no code here makes it. */
  readonly external: boolean;
  readonly freshness: Freshness;
  readonly lastMaterialization: Materialization | null;
  readonly policy: {
    warnAfter: string | null;
    failAfter: string | null;
    deadlineCron: string | null;
    critical: boolean;
    fallback: 'last-good' | null;
  };
  readonly dependsOn: readonly string[];
  readonly checks: readonly {
    name: string;
    passed: boolean | null;
    blocking: boolean;
    severity?: CheckSeverity;
    at: string | null;
    /** What the latest result recorded. */
    metadata?: Readonly<Record<string, unknown>> | null;
  }[];
  /** Null where it has no checks. */
  readonly checkState?: CheckState | null;
  /** Kind of the IO manager that keeps its values; null where Signalbox keeps them. */
  readonly io?: string | null;
  readonly lastObservation?: {
    readonly at: string | null;
    readonly recordedAt: string;
    readonly dataVersion: string | null;
  } | null;
  /** Null where it is one whole. */
  readonly partitions?: {
    readonly definition: PartitionsDefinition;
    readonly totals: PartitionTotals;
    /** The newest that should be there by now. */
    readonly newestExpected: string | null;
  } | null;
  /** Version of the code as it is now; null where no code here makes it. */
  readonly codeVersion?: string | null;
  /** Why it should be made anew, the asset's own reasons first; of a partitioned asset, its newest partition. */
  readonly staleCauses?: readonly StaleCause[];
  /** Null or absent where nothing makes it by itself. */
  readonly automation?: AutomationSummary | null;
  /** Tasks of workflows that make it, and that read it. */
  readonly producedBy?: readonly TaskOfWorkflow[];
  readonly consumedBy?: readonly TaskOfWorkflow[];
}

export interface TaskOfWorkflow {
  readonly workflow: string;
  readonly task: string;
}

/**
 * Freshness of an asset at a moment.
 * @param computedAtMs event time of the newest version that was computed or observed (not a fallback), or null
 * @param fallback whether the version that is served now is a fallback
 */
export function evaluateFreshness(
  policy: FreshnessPolicy,
  computedAtMs: EpochMs | null,
  fallback: boolean,
  nowMs: EpochMs,
): Freshness {
  if (fallback) return 'degraded';
  if (computedAtMs === null) return 'unknown';
  const ageMs = nowMs - computedAtMs;
  if (policy.failAfterMs !== null && ageMs > policy.failAfterMs) return 'stale';
  if (policy.warnAfterMs !== null && ageMs > policy.warnAfterMs) return 'warning';
  return 'fresh';
}

/**
 * An asset key is `namespace/name`; the name may hold further slashes. A namespace of OpenLineage may be a URL:
 * `s3://bucket/a/b` is `a/b` in `s3://bucket`. One without a host is the path of a database file, which ends at
 * the last slash: `duckdb:///data/shop.duckdb/main.orders`.
 */
export function splitAssetKey(key: string): { namespace: string; name: string } {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(key)?.[0].length ?? 0;
  const isFile = scheme > 0 && key[scheme] === '/';
  const at = isFile ? key.lastIndexOf('/') : key.indexOf('/', scheme);
  return at < 0
    ? { namespace: 'default', name: key }
    : { namespace: key.slice(0, at), name: key.slice(at + 1) };
}

/** What the latest results add up to; null for none. */
export function checkStateOf(
  checks: readonly { readonly passed: boolean | null; readonly severity?: CheckSeverity }[],
): CheckState | null {
  if (checks.length === 0) return null;
  const failed = checks.filter(({ passed }) => passed === false);
  if (failed.some(({ severity }) => severity !== 'warn')) return 'failing';
  if (failed.length > 0) return 'warning';
  return checks.some(({ passed }) => passed !== null) ? 'passing' : 'unknown';
}
