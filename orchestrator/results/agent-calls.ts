/** What tasks ask of the server for results, the cache and artifacts, through their agent's session. */
import {
  type ArtifactRequest,
  MAX_ARTIFACT_BYTES,
  MAX_ARTIFACTS_A_RUN,
} from '../../domain/artifact.ts';
import { SignalboxError } from '../../domain/errors.ts';
import {
  type CacheReply,
  type CacheRequest,
  isResultKey,
  MAX_SPILLED_BYTES,
} from '../../domain/result.ts';
import type { Sessions } from '../dispatch/sessions.ts';
import { isUuid } from '../runs/identifiers.ts';
import type { RunInfos } from '../runs/run-info.ts';
import { countArtifacts, insertArtifact, updateArtifact } from '../store/artifact.ts';
import type { Db } from '../store/connection.ts';
import { holdsTask } from '../store/once.ts';
import { storeCached, takeCached } from '../store/result-cache.ts';
import { BlobError, type BlobStore } from './blob-store.ts';
import type { ResultCalls } from './contract.ts';

export interface ResultCallDeps {
  readonly db: Db;
  readonly sessions: Sessions;
  readonly infos: RunInfos;
  readonly store: BlobStore;
}

const DISK_FULL: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT']);

export function createResultCalls(deps: ResultCallDeps): ResultCalls {
  const { db, sessions, store } = deps;
  return {
    async putBlob(sessionId, blob, content) {
      await sessions.get(sessionId);
      checkKey(blob.key);
      if (blob.bytes > MAX_SPILLED_BYTES) {
        const limit = `content has at most ${MAX_SPILLED_BYTES} bytes`;
        throw new SignalboxError('body-too-large', limit);
      }
      await told(() => store.put(blob, content), 'invalid-request');
      return store.name;
    },
    async getBlob(sessionId, of) {
      await sessions.get(sessionId);
      return readBlob(store, of);
    },
    async cache(sessionId, request) {
      await sessions.get(sessionId);
      return askCache(deps, request);
    },
    async artifact(sessionId, artifact) {
      await sessions.get(sessionId);
      if (!(await holdsTask(db, artifact.runId, artifact.token))) {
        throw new SignalboxError('lease-lost');
      }
      await storeArtifact(db, artifact);
    },
  };
}

/** @throws SignalboxError `not-found` where the content is not there, or in a store that this server has not */
export function readBlob(store: BlobStore, of: { readonly store: string; readonly key: string }) {
  checkKey(of.key);
  if (of.store !== store.name) {
    throw new SignalboxError(
      'not-found',
      `the content lies in ${of.store}, and this server has ${store.name}: set SIGNALBOX_RESULT_STORE alike everywhere`,
    );
  }
  return told(() => store.get(of.key), 'not-found');
}

function checkKey(key: string): void {
  const [runId = ''] = key.split('/');
  if (isResultKey(key) && isUuid(runId)) return;
  throw new SignalboxError('invalid-request', 'a key of content is RUN/NAME');
}

async function told<T>(work: () => Promise<T>, code: 'invalid-request' | 'not-found'): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof BlobError) throw new SignalboxError(code, error.message);
    if (error instanceof Error && 'code' in error && DISK_FULL.has(error.code)) {
      throw new SignalboxError('disk-full', 'there is no room for a result');
    }
    throw error;
  }
}

async function askCache(deps: ResultCallDeps, request: CacheRequest): Promise<CacheReply> {
  const { db, infos } = deps;
  await infos.load(db, [request.runId]);
  const workflow = infos.get(request.runId)?.workflow;
  if (workflow === undefined) throw new SignalboxError('lease-lost');
  if (request.op === 'get') {
    const found = await takeCached(db, workflow, request);
    return found ? { outcome: 'hit', ...found } : { outcome: 'miss' };
  }
  if (!(await holdsTask(db, request.runId, request.token))) throw new SignalboxError('lease-lost');
  await storeCached(db, workflow, request);
  return { outcome: 'stored' };
}

async function storeArtifact(db: Db, artifact: ArtifactRequest): Promise<void> {
  if (artifact.bytes > MAX_ARTIFACT_BYTES) {
    const limit = `an artifact has at most ${MAX_ARTIFACT_BYTES} bytes`;
    throw new SignalboxError('body-too-large', limit);
  }
  // Most calls of one that is told again and again, as progress is, find it there.
  if (await updateArtifact(db, artifact)) return;
  await db.transaction(async (tx) => {
    if ((await countArtifacts(tx, artifact.runId)) >= MAX_ARTIFACTS_A_RUN) {
      throw new SignalboxError(
        'invalid-request',
        `a run has at most ${MAX_ARTIFACTS_A_RUN} artifacts: tell ${artifact.key} under a key that is there already`,
      );
    }
    await insertArtifact(tx, artifact);
  });
}
