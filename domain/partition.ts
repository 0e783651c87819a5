/**
 * Partitions of assets: the words in which code declares them, runs carry them and lists show them. An asset is
 * cut into partitions by time, by a fixed list, by a list that grows, or by two of these; each partition is made,
 * fails and grows old by itself. A key is a text: `2024-01-31` (day, week), `2024-01` (month), local time with its
 * offset below a day (`2024-10-27T02:00+02:00`, so that the hour that comes twice has two keys), and of two
 * dimensions both keys with `|` between.
 */
import type { DataInterval, Run } from './run.ts';

export type PartitionUnit = 'hour' | 'day' | 'week' | 'month' | 'cron';

/** One partition for each interval of a calendar. */
export interface TimePartitions {
  readonly kind: 'time';
  readonly every: PartitionUnit;
  /** Boundaries, where `every` is `cron`. */
  readonly cron: string | null;
  /** IANA name; days begin at midnight there. */
  readonly timezone: string;
  /** Local date, or RFC 3339: the first partition begins at or after it. */
  readonly start: string;
  /** The last partition ends at or before it; null for none. */
  readonly end: string | null;
  /** First day of a week, 0 for Sunday. */
  readonly weekStart?: number;
  /** Partitions beyond the last complete one that are expected as well (1: the one that time is in). */
  readonly endOffset?: number;
}

export interface StaticPartitions {
  readonly kind: 'static';
  readonly keys: readonly string[];
}

/** Keys that people, programs and tasks add and remove while the system runs. */
export interface DynamicPartitions {
  readonly kind: 'dynamic';
  /** Assets that name the same list share it. */
  readonly name: string;
}

export type SinglePartitions = TimePartitions | StaticPartitions | DynamicPartitions;

export interface MultiPartitions {
  readonly kind: 'multi';
  /** Two of them; keys stand in this order. */
  readonly dimensions: readonly { readonly name: string; readonly partitions: SinglePartitions }[];
}

export type PartitionsDefinition = SinglePartitions | MultiPartitions;

export const KEY_SEPARATOR = '|';

/** Which partitions of an upstream a partition is made from. */
export type PartitionMapping =
  /** The one of the same key. */
  | { readonly kind: 'same' }
  /** Those whose time overlaps, moved by whole partitions of the upstream. */
  | { readonly kind: 'time'; readonly startOffset: number; readonly endOffset: number }
  | { readonly kind: 'all' }
  /** The newest one by now. */
  | { readonly kind: 'last' }
  | { readonly kind: 'specific'; readonly keys: readonly string[] }
  /** By a table: each upstream key with the downstream keys that it is for. */
  | { readonly kind: 'static'; readonly map: Readonly<Record<string, readonly string[]>> }
  /** By one dimension of whichever side has two. */
  | { readonly kind: 'dimension'; readonly dimension: string };

/** Partitions that a run makes, by asset key; under `*` those of the workflow itself. */
export type RunPartitions = Readonly<Record<string, readonly string[]>>;

/** What an agent is told of the partitions that a task makes. */
export interface AssignedPartition {
  readonly keys: readonly string[];
  /** From the first one's start to the last one's end; null where they are not of time. */
  readonly interval: DataInterval | null;
  /** Key of each dimension, where there are two and it is one partition. */
  readonly dimensions: Readonly<Record<string, string>> | null;
}

/** A version of an upstream that was read. */
export interface InputVersion {
  readonly assetKey: string;
  readonly partition: string | null;
  /** Of the materialization. */
  readonly id: string;
  readonly dataVersion: string;
  readonly degraded?: boolean;
  /** `production` where a run of a branch read it from there; the reader's own environment unless told. */
  readonly environment?: string;
}

export const PARTITION_STATES = [
  'missing',
  'fresh',
  'stale',
  'failed',
  'degraded',
  'running',
] as const;
export type PartitionState = (typeof PARTITION_STATES)[number];

/** Why something should be made anew. */
export const STALE_REASONS = [
  'never-materialized',
  'partition-missing',
  'too-old',
  'code-changed',
  'upstream-changed',
  'upstream-stale',
  'upstream-removed',
] as const;
export type StaleReason = (typeof STALE_REASONS)[number];

export interface StaleCause {
  readonly reason: StaleReason;
  /** The upstream that it comes from; null where it is the asset's own. */
  readonly upstream: string | null;
  readonly partition: string | null;
  /** In one sentence. */
  readonly detail: string;
}

/** A partition as lists show it; times are RFC 3339 in UTC. */
export interface AssetPartition {
  readonly key: string;
  readonly state: PartitionState;
  /** Null where it is not of time. */
  readonly interval: DataInterval | null;
  readonly dimensions: Readonly<Record<string, string>> | null;
  /** Event time of its newest version. */
  readonly at: string | null;
  readonly recordedAt: string | null;
  readonly materializationId: string | null;
  /** Of the newest version, of the last failure, or of the run under way. */
  readonly runId: string | null;
  readonly dataVersion: string | null;
  readonly codeVersion: string | null;
  readonly error: { readonly name: string; readonly message: string } | null;
  readonly causes: readonly StaleCause[];
}

/** How many partitions are in which state. `total` are those that should be there by now. */
export type PartitionCounts = Readonly<Record<PartitionState | 'total', number>>;

/** How many partitions there are, as lists show it without a look at each. */
export interface PartitionTotals {
  readonly total: number;
  readonly materialized: number;
  readonly failed: number;
  readonly missing: number;
}

/** The key of two dimensions out of their keys. */
export function joinKey(keys: readonly string[]): string {
  return keys.join(KEY_SEPARATOR);
}

/** The keys of the dimensions; null where there are not so many. */
export function splitKey(key: string, dimensions: number): readonly string[] | null {
  const parts = key.split(KEY_SEPARATOR);
  return parts.length === dimensions ? parts : null;
}

/** Which partitions to make. */
export type PartitionSelection =
  | readonly string[]
  | { readonly from?: string; readonly to?: string }
  | 'missing'
  | 'failed'
  | 'stale'
  | 'all'
  | 'latest';

/** What a call to materialize would make, in which order, in how many runs; nothing is made. */
export interface MaterializePlan {
  /** All assets, each after what it is made from. */
  readonly assets: readonly PlannedAsset[];
  /** At most 100 of the runs, in the order in which they are made. */
  readonly runs: readonly {
    readonly workflow: string;
    readonly assets: readonly PlannedAsset[];
    /** Places of the runs that it waits for, counted from 0; at most 100. */
    readonly after: readonly number[];
  }[];
  readonly runCount: number;
  /** Partitions of all assets; one without counts as one. */
  readonly partitionCount: number;
}

export interface PlannedAsset {
  readonly key: string;
  /** At most 100 of them; null for an asset without partitions. */
  readonly partitions: readonly string[] | null;
  readonly count: number;
}

/** What a call to make partitions started. */
export interface MaterializeReply {
  /** At most 100 of the runs that were made, in order. */
  readonly runs: readonly Run[];
  readonly runCount: number;
  /** Partitions that they make. */
  readonly partitionCount: number;
}

/** What suffers where an asset is late, wrong or gone. */
export interface AssetImpact {
  readonly key: string;
  readonly assets: readonly {
    readonly key: string;
    readonly depth: number;
    readonly critical: boolean;
    readonly owners: readonly string[];
    /** Partitions that are made from what was asked for; null for all of an asset without partitions. */
    readonly partitions: number | null;
    readonly firstPartition: string | null;
    readonly lastPartition: string | null;
    /** When its policy says stale, if nothing new comes; null without a policy. RFC 3339. */
    readonly staleAt: string | null;
  }[];
  readonly workflows: readonly {
    readonly workflow: string;
    readonly task: string;
    readonly asset: string;
    readonly role: 'produces' | 'consumes';
  }[];
  readonly owners: readonly string[];
  readonly critical: readonly string[];
  /** Of assets with a policy, the soonest first. */
  readonly policiesAtRisk: readonly { readonly key: string; readonly staleAt: string }[];
}
