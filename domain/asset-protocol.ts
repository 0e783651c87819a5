/** What an agent and a server say of assets to each other; `agent-protocol.ts` has the calls. */
import type { CheckSeverity, StoredVersion } from './asset.ts';
import type { AutomationDefinition } from './automation.ts';
import type { InputVersion, PartitionMapping, PartitionsDefinition } from './partition.ts';

export interface AssetOutcome {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly checks: readonly {
    name: string;
    passed: boolean;
    blocking: boolean;
    /** `error` unless told. */
    severity?: CheckSeverity;
    metadata: Readonly<Record<string, unknown>>;
  }[];
  readonly eventTime?: string;
  /** What the attempt did: made a version (unless told), looked at data made elsewhere, or only checked. */
  readonly mode?: 'materialize' | 'observe' | 'check';
  /** The asset that it is of, where that is not the task's key. */
  readonly of?: string;
  /** Where an IO manager put the value. */
  readonly stored?: StoredVersion;
  /** What changes when the data does; unless told it is a hash of the value. */
  readonly dataVersion?: string;
  /** Versions of upstreams that it was made from. */
  readonly inputs?: readonly InputVersion[];
  /** Of an attempt that makes several partitions: what was recorded of each, by key. */
  readonly partitions?: Readonly<Record<string, PartitionOutcome>>;
  /** Of an attempt that broke off: partitions that its IO manager, which publishes them one by one, had published. */
  readonly published?: readonly string[];
  /** In place of its part of the task's result: where a large value lies. */
  readonly value?: unknown;
  /** Of a task of a workflow: what was recorded of each asset that it produces, by key. */
  readonly produced?: Readonly<Record<string, AssetOutcome>>;
}

export interface PartitionOutcome {
  /** Versions of upstreams that this one was made from; those of the attempt unless told. */
  readonly inputs?: readonly InputVersion[];
  /** Where an IO manager put it. */
  readonly stored?: StoredVersion;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly eventTime?: string;
  readonly dataVersion?: string;
}

export interface CheckDefinition {
  readonly asset: string;
  readonly name: string;
  readonly blocking: boolean;
  readonly severity: CheckSeverity;
}

export interface AssetDefinition {
  readonly key: string;
  readonly dependsOn: readonly string[];
  readonly source: string | null;
  readonly description: string | null;
  readonly owners: readonly string[];
  readonly warnAfterMs: number | null;
  readonly failAfterMs: number | null;
  readonly deadlineCron: string | null;
  readonly critical: boolean;
  readonly fallback: 'last-good' | null;
  readonly checks: readonly { name: string; blocking: boolean; severity?: CheckSeverity }[];
  /** Kind of the IO manager that keeps its values; null or absent where Signalbox keeps them. */
  readonly io?: string | null;
  /** Made elsewhere, and looked at from here. */
  readonly observed?: boolean;
  /** Null or absent where it is one whole. */
  readonly partitions?: PartitionsDefinition | null;
  /** By upstream key, where it is not what the definitions suggest. */
  readonly mappings?: Readonly<Record<string, PartitionMapping>>;
  /** `range`: the code makes many partitions in one run; `each` (unless told): a run for each. */
  readonly partitionRuns?: 'each' | 'range';
  /** What changes when the code does; unless the code names it, a hash of the function. */
  readonly codeVersion?: string | null;
  /** Declared only: a task of a workflow, or another system, makes it. */
  readonly madeElsewhere?: boolean;
  /** When it is made without being asked for. */
  readonly automation?: AutomationDefinition;
}

/** Answer to `GET assets/{key}`: null where the asset has no value yet. */
export interface AssetValueReply {
  readonly value: AssetValue | null;
}

/** Answer to `GET assets/{key}/history`: the last versions, the newest first. */
export interface AssetHistoryReply {
  readonly versions: readonly RecordedVersion[];
}

export interface RecordedVersion {
  /** Of the materialization; later ones have greater ids. */
  readonly id?: string;
  readonly at: string;
  readonly partition: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Answer to `GET assets/{key}/for/{runId}/{taskKey}`: what that task is given of the upstream. */
export interface AssetInputReply {
  /** The code gets an object by partition key, rather than one value. */
  readonly many: boolean;
  readonly values: readonly AssetValue[];
  /** Partitions that it is made from and that have no value yet (at most 20 of them). */
  readonly missing: readonly string[];
  /** Of a task that makes several partitions: which of the values each of them is made from, by key. */
  readonly of?: Readonly<Record<string, readonly string[]>>;
}

/** A version that stands in for one that could not be made. */
export interface FallbackVersion {
  /** Of the materialization. */
  readonly id: string;
  readonly partition: string | null;
  /** Its event time, RFC 3339. */
  readonly at: string;
}

export interface AssetValue {
  readonly value: unknown;
  /** True where a fallback serves it. */
  readonly degraded: boolean;
  /** Which version that is; of another partition where the one that is meant was never made. */
  readonly fallbackOf?: FallbackVersion;
  readonly at: string;
  /** Where the value is, if an IO manager keeps it; `value` is null then. */
  readonly stored?: StoredVersion | null;
  readonly partition?: string | null;
  /** Of the materialization. */
  readonly id?: string;
  readonly dataVersion?: string;
  /** Environment that it was made in, of an agent of a branch; production unless told. */
  readonly environment?: string;
}
