/**
 * Ended runs leave: walked in the order of their creation, a whole tree at a time (a run with those that it started),
 * and only where all of the tree is old. The deepest go first and the root last, in batches, so that a tree that was
 * cut off in the middle is found again by its root. Of each workflow the newest run stays, and the newest scheduled
 * one: lists show it, and the next may depend on it.
 */
import type { Db } from '../store/connection.ts';
import { deleteRuns, readTrees, type TreeRun, walkRuns } from '../store/retention.ts';
import { firstIdAt } from './id-range.ts';
import type { Batch } from './round.ts';

const WALK_AT_ONCE = 1_000;
const DELETE_AT_ONCE = 1_000;

/** One batch of the walk. */
export async function deleteOldRuns(
  db: Db,
  cursor: string | null,
  beforeMs: number,
): Promise<Batch> {
  const before = new Date(beforeMs);
  const walked = await walkRuns(db, {
    ...{ cursor, before, until: firstIdAt(beforeMs), limit: WALK_AT_ONCE },
  });
  const roots = walked.flatMap(({ id, isOld }) => (isOld ? [id] : []));
  const ids = roots.length === 0 ? [] : wholeTrees(await readTrees(db, roots, before));
  let deleted = 0;
  for (let place = 0; place < ids.length; place += DELETE_AT_ONCE) {
    deleted += await deleteRuns(db, ids.slice(place, place + DELETE_AT_ONCE), before);
  }
  const isLast = walked.length < WALK_AT_ONCE;
  return { deleted, cursor: isLast ? null : (walked.at(-1)?.id ?? null), more: !isLast };
}

/** Runs of the trees of which all may go, the deepest first. */
function wholeTrees(runs: readonly TreeRun[]): string[] {
  const kept = new Set(runs.flatMap(({ root, isOld }) => (isOld ? [] : [root])));
  const going = runs.filter(({ root }) => !kept.has(root));
  return going.sort((a, b) => b.depth - a.depth).map(({ id }) => id);
}
