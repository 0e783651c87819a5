/**
 * Results that are too large for PostgreSQL, and binary ones. What is recorded in the place of a large result is a
 * reference: where its content lies, how large it is, and its hash, by which whoever reads it knows that it is whole.
 */

/** Results of more JSON than this lie in the result store. */
export const SPILL_BYTES = 262_144;
/** The largest result. */
export const MAX_SPILLED_BYTES = 1_073_741_824;
/** Stands in a recorded value for something that is no JSON, or lies elsewhere; no result of a user has it. */
export const RESULT_MARK = '$signalbox';

export interface ResultReference {
  readonly $signalbox: 'result';
  /** Name of the store that has it: `file`, or `s3://bucket/prefix`. */
  readonly store: string;
  readonly key: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly type: 'json' | 'binary';
  /** Of a list or an object: how many items a mapped task would have over it. */
  readonly items?: number;
  /** Begin of the JSON text. */
  readonly preview?: string;
}

/** A small binary result. */
export interface InlineBytes {
  readonly $signalbox: 'bytes';
  readonly base64: string;
}

const KEY = /^[a-z0-9-]{1,64}\/[a-z0-9-]{1,128}$/;
const SHA256 = /^[0-9a-f]{64}$/;

/** Whether a text names content in a result store: a run, and a name within it. */
export function isResultKey(key: string): boolean {
  return KEY.test(key);
}

export function isResultReference(value: unknown): value is ResultReference {
  if (!isMarked(value) || value.$signalbox !== 'result') return false;
  const { store, key, bytes, sha256 } = value as Partial<ResultReference>;
  return (
    typeof store === 'string' &&
    typeof key === 'string' &&
    isResultKey(key) &&
    typeof bytes === 'number' &&
    typeof sha256 === 'string' &&
    SHA256.test(sha256)
  );
}

export function isInlineBytes(value: unknown): value is InlineBytes {
  return isMarked(value) && value.$signalbox === 'bytes' && 'base64' in value;
}

function isMarked(value: unknown): value is { readonly $signalbox: unknown } {
  return typeof value === 'object' && value !== null && RESULT_MARK in value;
}

/** What the server is asked to keep, or to give. */
export interface BlobRequest {
  readonly key: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Asks for the result of an earlier execution, or stores one. */
export type CacheRequest =
  | {
      readonly op: 'get';
      readonly runId: string;
      readonly taskKey: string;
      readonly attempt: number;
      readonly name: string;
      readonly hash: string;
    }
  | {
      readonly op: 'put';
      readonly runId: string;
      readonly taskKey: string;
      readonly token: string;
      readonly name: string;
      readonly hash: string;
      readonly result: unknown;
      /** Null for as long as nobody forgets it. */
      readonly expiresInMs: number | null;
    };

export type CacheReply =
  | { readonly outcome: 'hit'; readonly result: unknown; readonly runId: string }
  | { readonly outcome: 'miss' }
  | { readonly outcome: 'stored' };
