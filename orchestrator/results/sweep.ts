/**
 * Takes away what nobody needs any more: content of runs that were deleted, content that an agent wrote and never
 * told of, cached results that are over. Content is looked at when it is a day old, so that what is being written, or
 * waits to be told of, stays; a run that is under way keeps all of its content.
 */
import type { Clock } from '../../domain/time.ts';
import { isUuid } from '../runs/identifiers.ts';
import type { Reconciler } from '../service.ts';
import { sweepArtifacts } from '../store/artifact.ts';
import type { Db } from '../store/connection.ts';
import { findUnused, sweepCached, sweepHits } from '../store/result-cache.ts';
import type { BlobStore, StoredBlob } from './blob-store.ts';

const CACHE_EVERY_MS = 60_000;
const CONTENT_EVERY_MS = 600_000;
const ROWS_AT_ONCE = 5_000;
const PAGES_AT_ONCE = 20;
const OLD_MS = 86_400_000;

export function createSweeps(db: Db, store: BlobStore, clock: Clock): readonly Reconciler[] {
  // Goes on where it was, so that a store of any size is gone through in small pieces.
  let after = '';
  return [
    {
      name: 'result-cache',
      everyMs: CACHE_EVERY_MS,
      async run() {
        await sweepCached(db, ROWS_AT_ONCE);
      },
    },
    {
      name: 'result-content',
      everyMs: CONTENT_EVERY_MS,
      async run() {
        await sweepHits(db, ROWS_AT_ONCE);
        await sweepArtifacts(db, ROWS_AT_ONCE);
        for (let pages = 0; pages < PAGES_AT_ONCE; pages += 1) {
          const { blobs, next } = await store.list(after);
          await sweepPage(
            db,
            store,
            blobs.filter(({ modifiedAt }) => clock.now() - modifiedAt > OLD_MS),
          );
          after = next ?? '';
          if (next === null) return;
        }
      },
    },
  ];
}

async function sweepPage(db: Db, store: BlobStore, blobs: readonly StoredBlob[]): Promise<void> {
  const ofRuns: { key: string; runId: string }[] = [];
  const unused: string[] = [];
  for (const { key } of blobs) {
    const [runId = ''] = key.split('/');
    if (isUuid(runId)) ofRuns.push({ key, runId });
    // What a crash left half written.
    else if (runId === 'unfinished') unused.push(key);
  }
  if (ofRuns.length > 0) unused.push(...(await findUnused(db, ofRuns)));
  for (const key of unused) await store.delete(key);
}
