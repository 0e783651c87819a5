/**
 * The result of a task or a step as content to download, however large: what lies in the result store is passed on as
 * it comes, and never whole in memory. A mapped task's is the list of what its items gave; a large item is put into the
 * list on its way, a binary one stands as its reference.
 */
import { Readable } from 'node:stream';
import { SignalboxError } from '../../domain/errors.ts';
import { isInlineBytes, isResultReference } from '../../domain/result.ts';
import { readResult } from '../dispatch/results.ts';
import { checkRunId } from '../runs/identifiers.ts';
import type { RunInfos } from '../runs/run-info.ts';
import type { Db } from '../store/connection.ts';
import { readStep } from '../store/step-log.ts';
import { readBlob } from './agent-calls.ts';
import type { BlobStore } from './blob-store.ts';
import type { ResultContent } from './contract.ts';

interface Deps {
  readonly db: Db;
  readonly infos: RunInfos;
  readonly store: BlobStore;
}

/** @throws SignalboxError `not-found` where there is no such run, task or step, or it has no result */
export async function readTaskContent(
  deps: Deps,
  runId: string,
  key: string,
): Promise<ResultContent> {
  const id = checkRunId(runId);
  const { state, result } = await read(deps, id, key);
  if (state !== 'succeeded') {
    throw new SignalboxError('not-found', `${key} has no result: it is ${state}`);
  }
  if (isResultReference(result)) {
    const { bytes, sha256, type } = result;
    const content = await readBlob(deps.store, result);
    return { content, bytes, sha256, type };
  }
  if (isInlineBytes(result)) return whole(Buffer.from(result.base64, 'base64'), 'binary');
  if (Array.isArray(result) && result.some(isJsonReference)) {
    const content = Readable.from(listOf(deps.store, result));
    return { content, bytes: null, sha256: null, type: 'json' };
  }
  return whole(Buffer.from(JSON.stringify(result ?? null)), 'json');
}

async function read(
  deps: Deps,
  runId: string,
  key: string,
): Promise<{ state: string; result: unknown }> {
  try {
    return await readResult(deps, runId, key);
  } catch (error) {
    if (!(error instanceof SignalboxError) || error.code !== 'not-found') throw error;
    const step = await readStep(deps.db, runId, key);
    if (step) return step;
    throw error;
  }
}

function whole(bytes: Buffer, type: ResultContent['type']): ResultContent {
  return { content: Readable.from([bytes]), bytes: bytes.length, sha256: null, type };
}

function isJsonReference(value: unknown): boolean {
  return isResultReference(value) && value.type === 'json';
}

async function* listOf(store: BlobStore, items: readonly unknown[]): AsyncGenerator<Buffer> {
  yield Buffer.from('[');
  for (const [index, item] of items.entries()) {
    if (index > 0) yield Buffer.from(',');
    if (isResultReference(item) && item.type === 'json') yield* await readBlob(store, item);
    else yield Buffer.from(JSON.stringify(item ?? null));
  }
  yield Buffer.from(']');
}
