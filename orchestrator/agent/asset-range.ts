/**
 * Keeps the partitions that one attempt has made. Where their IO manager can, they are published together: readers
 * find all of them or none, and one that a blocking check refuses refuses all. Else they are published one after the
 * other; where the attempt breaks off, `published` says which of them are, and those are recorded.
 */
import type { AssetOutcome, PartitionOutcome } from '../../domain/agent-protocol.ts';
import type { BoundCheck, Definition } from '../define/definition.ts';
import type { IoManager, RangeContext, StagedRange } from '../define/io.ts';
import {
  allChecks,
  checkStaged,
  isRefused,
  type KeptVersion,
  keepVersion,
  subjectOf,
  type VersionCalls,
  writeContext,
} from './asset-version.ts';
import type { RunningTask } from './running-task.ts';

export interface KeptRange extends KeptVersion {
  readonly partitions: Readonly<Record<string, PartitionOutcome>>;
  /** Partitions that are published though the whole is refused. */
  readonly published: readonly string[];
}

interface Range {
  readonly task: RunningTask;
  readonly calls: VersionCalls;
  readonly definition: Definition;
  readonly keys: readonly string[];
  readonly values: Readonly<Record<string, unknown>>;
}

/** Collects what becomes of each partition. */
class Kept {
  readonly #partitions: Record<string, PartitionOutcome> = {};
  readonly #result: Record<string, unknown> = {};
  checks: AssetOutcome['checks'] = [];

  /** @returns false where a blocking check refused it */
  take(key: string, kept: KeptVersion): boolean {
    this.checks = worseOf(this.checks, kept.checks, key);
    if (isRefused(kept.checks)) return false;
    this.#result[key] = kept.result;
    this.#partitions[key] = {
      metadata: kept.metadata,
      ...(kept.stored === null ? {} : { stored: kept.stored }),
    };
    return true;
  }

  whole(published: readonly string[]): KeptRange {
    const { checks } = this;
    const common = { result: this.#result, metadata: {}, checks, stored: null };
    return { ...common, partitions: this.#partitions, published };
  }
}

/** @param onPublished told of each partition that is published before all are */
export async function keepRange(
  task: RunningTask,
  calls: VersionCalls,
  definition: Definition,
  keys: readonly string[],
  value: unknown,
  onPublished: (key: string, outcome: PartitionOutcome) => void,
): Promise<KeptRange> {
  if (value === null || value === undefined) {
    const plain = { ...definition, io: null };
    const kept = await keepVersion(task, calls, plain, undefined, value);
    return { ...kept, partitions: {}, published: [] };
  }
  const range = { task, calls, definition, keys, values: value as Range['values'] };
  const { io = null } = definition;
  if (io !== null && 'stage' in io && io.stageRange) {
    return keepTogether(range, io, await io.stageRange(rangeContext(range)));
  }
  return keepApart(range, onPublished);
}

function rangeContext({ task, calls, definition, keys }: Range): RangeContext {
  const { partitionKey: _, ...context } = writeContext(task, calls, definition.name, undefined);
  return { ...context, partitionKeys: keys };
}

async function keepTogether(range: Range, io: IoManager, staged: StagedRange): Promise<KeptRange> {
  const { task, calls, definition, keys, values } = range;
  const checks = await allChecks(calls, definition.name, definition.checks);
  const kept = new Kept();
  try {
    for (const key of keys) {
      task.signal.throwIfAborted();
      const one = await stageOne(range, io, staged, checks, key, values[key]);
      if (kept.take(key, one)) continue;
      await staged.discard();
      return kept.whole([]);
    }
    task.signal.throwIfAborted();
    await staged.publish();
    return kept.whole([]);
  } catch (error) {
    // What went wrong first is what is told.
    await staged.discard().catch(() => undefined);
    throw error;
  }
}

function stageOne(
  { task, calls, definition }: Range,
  io: IoManager,
  staged: StagedRange,
  checks: readonly BoundCheck[],
  key: string,
  value: unknown,
): Promise<KeptVersion> {
  const subject = subjectOf(task, calls, definition.name, key);
  return checkStaged(io, subject, checks, value, (rows) => staged.stage(key, rows));
}

async function keepApart(
  { task, calls, definition, keys, values }: Range,
  onPublished: (key: string, outcome: PartitionOutcome) => void,
): Promise<KeptRange> {
  const kept = new Kept();
  const published: string[] = [];
  for (const key of keys) {
    task.signal.throwIfAborted();
    const one = await keepVersion(task, calls, definition, key, values[key]);
    if (!kept.take(key, one)) return kept.whole(published);
    // What Signalbox keeps is recorded with the end of the attempt, all of it or nothing.
    if (one.stored === null) continue;
    published.push(key);
    onPublished(key, { metadata: one.metadata, stored: one.stored });
  }
  return kept.whole([]);
}

/** A check of a range has passed where it has for each partition; else it tells of the first that it refused. */
function worseOf(
  before: AssetOutcome['checks'],
  next: AssetOutcome['checks'],
  partition: string,
): AssetOutcome['checks'] {
  return next.map((check) => {
    const earlier = before.find(({ name }) => name === check.name);
    if (earlier?.passed === false) return earlier;
    return { ...check, metadata: { ...check.metadata, partition } };
  });
}
