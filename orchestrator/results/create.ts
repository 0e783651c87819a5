/** All that has to do with large results, the cache and artifacts, over one store. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../domain/time.ts';
import { createResultCalls, type ResultCallDeps } from './agent-calls.ts';
import type { BlobStore } from './blob-store.ts';
import { fileStore } from './file-store.ts';
import { createResultService } from './service.ts';
import { createSweeps } from './sweep.ts';

/** @param given where large results lie; in this machine's temporary folder unless told */
export function createResults(
  deps: Omit<ResultCallDeps, 'store'> & { readonly clock: Clock },
  given: BlobStore | undefined,
) {
  const store = given ?? fileStore(join(tmpdir(), 'signalbox-results'));
  return {
    calls: createResultCalls({ ...deps, store }),
    service: createResultService(deps.db, store, deps.infos),
    reconcilers: createSweeps(deps.db, store, deps.clock),
  };
}
