/** A round of retention: each kind in turn, by batches, with pauses, for a bounded time. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../../domain/time.ts';
import type { Db } from '../store/connection.ts';
import { readCursor, recordRound } from '../store/retention.ts';

/** What one batch did. */
export interface Batch {
  readonly deleted: number;
  /** Where the next one goes on; null where the walk is at its end, or has none. */
  readonly cursor: string | null;
  readonly more: boolean;
}

/** How a kind is deleted. */
export interface Deletion {
  readonly kind: string;
  /** Deletes a bounded number of rows that are older. */
  batch(cursor: string | null, beforeMs: number): Promise<Batch>;
}

/** A kind may take this long of a round; the rest waits for the next. */
const BUDGET_MS = 10_000;
/** A batch is followed by a pause of a share of its time, so that what is alive goes first. */
const PAUSE_SHARE = 0.5;
const MAX_PAUSE_MS = 500;

/** Deletes what is older than it is kept, and records what became of it, failures too. */
export async function runDeletion(
  { db, clock }: { db: Db; clock: Clock },
  deletion: Deletion,
  keepMs: number,
): Promise<void> {
  const startedAt = performance.now();
  const { kind } = deletion;
  let cursor = await readCursor(db, kind);
  let deleted = 0;
  let error: unknown;
  try {
    for (let more = true; more && performance.now() - startedAt < BUDGET_MS; ) {
      const batchAt = performance.now();
      const batch = await deletion.batch(cursor, clock.now() - keepMs);
      deleted += batch.deleted;
      cursor = batch.cursor;
      more = batch.more;
      const tookMs = performance.now() - batchAt;
      if (more) await pause(Math.min(MAX_PAUSE_MS, tookMs * PAUSE_SHARE));
    }
  } catch (caught) {
    error = caught;
  }
  const tookMs = performance.now() - startedAt;
  const text = error === undefined ? null : error instanceof Error ? error.message : String(error);
  await recordRound(db, { kind, cursor, deleted, tookMs, error: text }, new Date(clock.now()));
  if (error !== undefined) throw error;
}
