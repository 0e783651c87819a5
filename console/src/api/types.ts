/**
 * Shapes of the API that are not words of the domain. A test pins each to the type that the server's parts
 * really return.
 */
import type { WorkflowDefinition } from '../../../domain/agent-protocol.ts';
import type { Asset } from '../../../domain/asset.ts';
import type { OnDefinition } from '../../../domain/origin.ts';
import type { RunbookMode } from '../../../domain/runbook.ts';
import type { WeightRule } from '../../../domain/task-graph.ts';

/** A list's answer, newest first. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

export interface WorkflowSummary {
  readonly name: string;
  readonly kind: WorkflowDefinition['kind'] | 'system';
  readonly description: string | null;
  readonly paused: boolean;
  readonly tags: readonly string[];
  readonly owners: readonly string[];
  readonly schedule: WorkflowDefinition['schedule'];
  readonly nextRunAt: string | null;
  readonly version: string;
  readonly parameters: Readonly<Record<string, unknown>> | null;
  readonly taskCount: number;
  readonly file: string;
}

export interface WorkflowDetail extends WorkflowSummary {
  readonly tasks: readonly {
    readonly key: string;
    readonly after: readonly string[];
    readonly priority?: number;
    readonly priorityWeight?: number;
    readonly weightRule?: WeightRule;
  }[];
  readonly on?: OnDefinition;
}

export interface QueueSummary {
  readonly name: string;
  readonly paused: boolean;
  readonly concurrency: number | null;
  readonly ready: number;
  readonly running: number;
  readonly waiting?: number;
  readonly waitingSince?: string | null;
  readonly priority?: number;
  readonly rateLimit?: { readonly count: number; readonly per: string } | null;
}

/** What is not given stays. */
export interface QueueSetting {
  readonly paused?: boolean;
  readonly concurrency?: number | null;
  readonly priority?: number;
  readonly rateLimit?: { readonly count: number; readonly per: string } | null;
}

export interface LineageGraph {
  readonly nodes: readonly {
    key: string;
    depth: number;
    freshness: Asset['freshness'];
    /** Of a branch: runs of it read the asset from production. */
    readFrom?: 'production';
  }[];
  readonly edges: readonly { from: string; to: string }[];
  /** Tasks of workflows that make or read one of the nodes. */
  readonly tasks?: readonly {
    workflow: string;
    task: string;
    asset: string;
    role: 'produces' | 'consumes';
  }[];
}

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

/** Who is signed in. */
export interface Me {
  readonly name: string;
  readonly role: string;
  /** How timelines name what this person does. */
  readonly actor: string;
}
