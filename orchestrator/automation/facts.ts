/**
 * What is known of an asset (or of one partition of it) at a moment, and what was remembered of the look before. From
 * these two everything follows.
 */
import type { CheckSeverity, Freshness } from '../../domain/asset.ts';
import type { AutomationDefinition } from '../../domain/automation.ts';
import type { StaleCause } from '../../domain/partition.ts';
import type { EpochMs } from '../../domain/time.ts';
import type { InputRow } from '../store/partition.ts';

export interface Failing {
  readonly at: EpochMs;
  readonly runId: string | null;
  readonly message: string;
}

/** A run that makes something right now. */
export interface UnderWay {
  readonly runId: string;
  readonly since: EpochMs;
}

export interface CheckFact {
  readonly name: string;
  readonly passed: boolean;
  readonly severity: CheckSeverity;
  readonly at: EpochMs;
}

/** Those that say that something is wrong. */
export function failedOf(checks: readonly CheckFact[]): readonly CheckFact[] {
  return checks.filter(({ passed, severity }) => !passed && severity === 'error');
}

/** The newest version of an asset, of one of its partitions, or of several together. */
export interface VersionFact {
  /** Changes with each version; null where there is none. */
  readonly marker: string | null;
  /** When it was recorded. */
  readonly recordedAt: EpochMs | null;
  readonly runId: string | null;
}

export interface OwnFacts extends VersionFact {
  readonly codeVersion: string | null;
  readonly madeByCode: string | null;
  /** What the newest version was made from; null where nobody says. */
  readonly inputs: readonly InputRow[] | null;
  readonly failed: Failing | null;
  readonly inProgress: UnderWay | null;
  readonly freshness: Freshness;
  readonly stale: readonly StaleCause[];
  readonly checks: readonly CheckFact[];
  /** How the run ended that automation requested last; null where it has not, or is not known any more. */
  readonly requestEnded: string | null;
}

export interface UpstreamFacts extends VersionFact {
  readonly key: string;
  /** False where nobody ever declared, made or saw it. */
  readonly known: boolean;
  /** Whether no code here makes it. */
  readonly madeElsewhere: boolean;
  /** Versions that make up the marker: those of the partitions that are needed. */
  readonly versions: readonly (readonly [
    partition: string | null,
    id: string,
    dataVersion: string,
  ])[];
  /** Whether all of its partitions are needed: they are not looked at one by one. */
  readonly whole: boolean;
  /** A partition that is needed and was never made; '' where the asset is one whole; null for none. */
  readonly missing: string | null;
  readonly failed: Failing | null;
  readonly inProgress: UnderWay | null;
  readonly failedChecks: readonly CheckFact[];
  /** Partitions of it that are needed; null where it is one whole, or all of them are. */
  readonly partitions: readonly string[] | null;
}

/** An asset, or one partition of it, that is looked at. */
export interface Subject {
  readonly key: string;
  /** Null where it is one whole. */
  readonly partition: string | null;
  readonly definition: AutomationDefinition;
  /** Of the condition. */
  readonly hash: string;
  /** Since when each cron of the condition counts, by its name. */
  readonly crons: Readonly<Record<string, EpochMs>>;
  readonly paused: { readonly at: EpochMs; readonly by: string; readonly all: boolean } | null;
  readonly own: OwnFacts;
  readonly upstreams: readonly UpstreamFacts[];
  readonly memory: Memory;
}

/** What one look leaves for the next. */
export interface Memory {
  /** Hash of the condition; '' where nobody has looked. */
  readonly hash: string;
  /** Marker of its own newest version; undefined where nobody has looked. */
  readonly own?: string | null;
  /** Marker of each upstream that it was made from, or was requested for (`seen.ts`). */
  readonly seen: Readonly<Record<string, string>>;
  /** Until when ticks of crons are done with. */
  readonly handledAt: EpochMs;
  readonly request: {
    readonly runId: string;
    readonly at: EpochMs;
    /** What called for it. */
    readonly cause: string;
    /** Marker of its own newest version then. */
    readonly own: string | null;
  } | null;
  /** Requests ever made; part of their keys. */
  readonly requests: number;
  /** Whether automation asked for it since it went missing. */
  readonly missingAsked: boolean;
  /** Requests in a row whose runs did not make it. */
  readonly failures: number;
  /** When the last of them was noticed, and which it was. */
  readonly failedAt: EpochMs;
  readonly failedRun?: string;
  /** Whether the look before requested it. */
  readonly requestedLast: boolean;
  /** Nodes of `since` that are true, by their place, with what made them so. */
  readonly since: Readonly<Record<string, { readonly at: EpochMs; readonly cause: string }>>;
  /** Places of what `newly-true` looks at that was true. */
  readonly was: readonly string[];
}

export const NO_MEMORY: Memory = {
  ...{ hash: '', seen: {}, handledAt: 0, request: null, requests: 0, missingAsked: false },
  ...{ failures: 0, failedAt: 0, requestedLast: false, since: {}, was: [] },
};

/** An asset with its partition, as a name. */
export function nodeName(key: string, partition: string | null): string {
  return `${key}\n${partition ?? ''}`;
}
