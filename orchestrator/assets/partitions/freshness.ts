/**
 * Freshness of an asset that may be cut into partitions. One of time is as fresh as its newest partition: its event
 * time is the end of the newest one that is there, so an old one that is made again changes nothing; without a
 * limit of age the newest one that should be there has to be. One of a list is as old as the oldest of its keys, and
 * stale while one is missing. One of both is as new as the newest time of which every key is there.
 */
import type { Freshness, FreshnessPolicy } from '../../../domain/asset.ts';
import type { PartitionsDefinition } from '../../../domain/partition.ts';
import type { EpochMs } from '../../../domain/time.ts';
import { freshnessAt } from '../policy.ts';
import { partitionSet, timePartOf } from './partition-set.ts';

/** What the freshness of an asset follows from. */
export interface Standing {
  readonly policy: FreshnessPolicy;
  readonly computedAtMs: EpochMs | null;
  readonly fallback: boolean;
  readonly partitions: PartitionsDefinition | null;
  /** Partitions that were made. */
  readonly made: number;
  readonly completeAtMs: EpochMs | null;
}

export type Judge = (of: Standing) => Freshness;

/** Freshness at one moment, for many assets. */
export function judgeAt(now: EpochMs): Judge {
  const judge = freshnessAt(now);
  return (of) => {
    const { partitions, policy, fallback } = of;
    if (partitions === null) return judge(policy, of.computedAtMs, fallback);
    // Of a partition whose time is not over, what counts is when its data is from.
    const early = of.completeAtMs !== null && of.completeAtMs > now;
    const at = early ? of.computedAtMs : of.completeAtMs;
    if (of.computedAtMs === null || fallback) return judge(policy, of.computedAtMs, fallback);
    // A list that grows, of which nothing that is in it was made.
    if (partitions.kind === 'dynamic' && of.made === 0) return 'unknown';
    if (at === null || isKeyMissing(partitions, of.made)) return 'stale';
    const limited = policy.failAfterMs !== null || policy.deadlineCron !== null;
    const expectedEnd = newestExpectedEnd(partitions, now);
    if (!limited && expectedEnd !== null && !early && at < expectedEnd) return 'stale';
    return judge(policy, at, fallback);
  };
}

/** Of a fixed list: whether a key was never made. */
function isKeyMissing(partitions: PartitionsDefinition, made: number): boolean {
  if (partitions.kind === 'static') return made < partitions.keys.length;
  return false;
}

/** End of the newest partition of time that should be there; null where none should, or they are not of time. */
function newestExpectedEnd(partitions: PartitionsDefinition, now: EpochMs): EpochMs | null {
  const time = timePartOf(partitions);
  if (time === null) return null;
  const set = partitionSet(time, now, new Map());
  if (set.size === 0) return null;
  const end = set.interval(set.at(set.size - 1))?.end ?? null;
  return end === null ? null : Math.min(end, now);
}
