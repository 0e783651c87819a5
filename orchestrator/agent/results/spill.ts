/** Puts a large or binary result where it belongs; what is recorded is a reference to it. */
import { createHash, randomUUID } from 'node:crypto';
import type { Assignment } from '../../../domain/agent-protocol.ts';
import {
  type BlobRequest,
  type InlineBytes,
  MAX_SPILLED_BYTES,
  type ResultReference,
  SPILL_BYTES,
} from '../../../domain/result.ts';
import { withContent } from './blob-files.ts';

/** What spilling needs of the agent. */
export interface SpillCalls {
  /** Sends a file of this machine to the result store. @returns the store's name */
  putBlob(blob: BlobRequest, path: string): Promise<string>;
}

/** A result that is larger than any may be. */
class ResultTooLarge extends Error {
  override readonly name = 'ResultError';
}

const PREVIEW_CHARACTERS = 200;
const HASH_LENGTH = 16;

/** Whether a result is bytes and no JSON. */
export function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array;
}

/** Bytes that are small enough to be recorded as they are. */
export function inlineBytes(value: Uint8Array): InlineBytes | null {
  if (value.byteLength * 1.34 > SPILL_BYTES) return null;
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return { $signalbox: 'bytes', base64: bytes.toString('base64') };
}

/**
 * Stores the content and gives the reference. Each attempt has a name of its own, so that nothing that is referenced
 * is ever written again.
 * @param json its JSON text, where it is no bytes
 * @throws ResultError where it is too large
 */
export function spill(
  calls: SpillCalls,
  of: Pick<Assignment, 'runId' | 'taskKey' | 'attempt'>,
  value: unknown,
  json: string | null,
  what = of.taskKey,
): Promise<ResultReference> {
  const content = json ?? (value as Uint8Array);
  const size = typeof content === 'string' ? Buffer.byteLength(content) : content.byteLength;
  if (size > MAX_SPILLED_BYTES) {
    throw new ResultTooLarge(
      `a result has at most ${MAX_SPILLED_BYTES} bytes, and this one ${size}: store it elsewhere and return its address`,
    );
  }
  const name = createHash('sha256').update(what).digest('hex').slice(0, HASH_LENGTH);
  const key = `${of.runId}/${name}-${of.attempt}-${randomUUID().slice(0, 8)}`;
  return withContent(content, async (path, { bytes, sha256 }) => {
    const store = await calls.putBlob({ key, bytes, sha256 }, path);
    const place = { $signalbox: 'result' as const, store, key, bytes, sha256 };
    if (json === null) return { ...place, type: 'binary' as const };
    const preview = json.slice(0, PREVIEW_CHARACTERS).toWellFormed().replaceAll('\0', '');
    return { ...place, type: 'json' as const, preview, ...itemsOf(value) };
  });
}

function itemsOf(value: unknown): { readonly items?: number } {
  if (Array.isArray(value)) return { items: value.length };
  return typeof value === 'object' && value !== null ? { items: Object.keys(value).length } : {};
}
