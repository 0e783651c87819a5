/**
 * Values of versions take far more room than the versions. Only the newest version and the one that is served are
 * read; the values of others are taken away after a while, in which a reader that is under way may still want them.
 */
import type { Clock } from '../../domain/time.ts';
import type { Reconciler } from '../service.ts';
import { dropOldValues } from '../store/asset.ts';
import type { Db } from '../store/connection.ts';

const EVERY_MS = 60_000;
const KEPT_MS = 600_000;
const BATCH = 1_000;
const MAX_BATCHES = 50;

export function createValueRetention(db: Db, clock: Clock): Reconciler {
  return {
    name: 'asset-values',
    everyMs: EVERY_MS,
    async run() {
      const before = firstIdAt(clock.now() - KEPT_MS);
      for (let batch = 0; batch < MAX_BATCHES; batch += 1) {
        if ((await dropOldValues(db, before, BATCH)) < BATCH) return;
      }
    },
  };
}

/** Smallest UUIDv7 of a moment. */
function firstIdAt(atMs: number): string {
  const time = Math.max(0, atMs).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`;
}
