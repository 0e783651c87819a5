/** A plan in the form in which it is shown; lists are cut, counts are of everything. */
import type { MaterializePlan, PlannedAsset } from '../../../domain/partition.ts';
import type { Db, Tx } from '../../store/connection.ts';
import type { PlannedRun } from './plan.ts';

const MAX_SHOWN = 100;

export function describePlan(
  runs: readonly (PlannedRun & { readonly workflow: string })[],
): MaterializePlan {
  const whole = new Map<string, string[] | null>();
  for (const { assets, partitions } of runs) {
    for (const key of assets) {
      const keys = partitions[key];
      const before = whole.get(key);
      if (keys === undefined) whole.set(key, null);
      else if (before) for (const one of keys) before.push(one);
      else whole.set(key, [...keys]);
    }
  }
  const assets = [...whole].map(([key, keys]) => plannedAsset(key, keys));
  return {
    assets,
    runs: runs.slice(0, MAX_SHOWN).map((run) => ({
      workflow: run.workflow,
      assets: run.assets.map((key) => plannedAsset(key, run.partitions[key] ?? null)),
      after: run.after.slice(0, MAX_SHOWN),
    })),
    runCount: runs.length,
    partitionCount: assets.reduce((sum, { count }) => sum + count, 0),
  };
}

function plannedAsset(key: string, keys: readonly string[] | null): PlannedAsset {
  return { key, partitions: keys?.slice(0, MAX_SHOWN) ?? null, count: keys?.length ?? 1 };
}

/** Carries what was worked out past the end of its transaction. */
class Undone<T> extends Error {
  readonly found: T;

  constructor(found: T) {
    super('undone');
    this.found = found;
  }
}

/** Works something out in a transaction of which nothing stays. */
export async function withoutTrace<T>(db: Db, work: (tx: Tx) => Promise<T>): Promise<T> {
  try {
    await db.transaction(async (tx) => {
      throw new Undone(await work(tx));
    });
  } catch (error) {
    if (error instanceof Undone) return error.found as T;
    throw error;
  }
  throw new Error('a transaction that was undone has ended');
}
