/** Keeps the partitions that one attempt has made: each by itself, checked before it is read. */
import type { AssetOutcome, PartitionOutcome } from '../../domain/agent-protocol.ts';
import type { Definition } from '../define/definition.ts';
import { isRefused, type KeptVersion, keepVersion, type VersionCalls } from './asset-version.ts';
import type { RunningTask } from './running-task.ts';

/** @returns the whole, and what is recorded with each partition */
export async function keepRange(
  task: RunningTask,
  calls: VersionCalls,
  definition: Definition,
  keys: readonly string[],
  value: unknown,
): Promise<KeptVersion & { readonly partitions: Readonly<Record<string, PartitionOutcome>> }> {
  const nothing = value === null || value === undefined;
  if (nothing) {
    const plain = { ...definition, io: null };
    return { ...(await keepVersion(task, calls, plain, undefined, value)), partitions: {} };
  }
  const values = value as Readonly<Record<string, unknown>>;
  const partitions: Record<string, PartitionOutcome> = {};
  const result: Record<string, unknown> = {};
  let checks: AssetOutcome['checks'] = [];
  for (const key of keys) {
    const kept = await keepVersion(task, calls, definition, key, values[key]);
    checks = worseOf(checks, kept.checks, key);
    if (isRefused(kept.checks)) break;
    result[key] = kept.result;
    partitions[key] = {
      metadata: kept.metadata,
      ...(kept.stored === null ? {} : { stored: kept.stored }),
    };
  }
  return { result, metadata: {}, checks, stored: null, partitions };
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
