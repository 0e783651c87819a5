/** Where content lies that is too large for PostgreSQL. */
import type { Readable } from 'node:stream';
import type { BlobRequest } from '../../domain/result.ts';
import type { EpochMs } from '../../domain/time.ts';

/** What a list of a store shows. */
export interface StoredBlob {
  readonly key: string;
  readonly modifiedAt: EpochMs;
}

export interface BlobStore {
  /** Stands in references, so that whoever reads one knows where to ask: `file`, or `s3://bucket/prefix`. */
  readonly name: string;
  /**
   * Stores content whole or not at all: it is there when this resolves, also after a power cut.
   * @throws BlobError where it is not what the request says
   */
  put(blob: BlobRequest, content: AsyncIterable<Uint8Array>): Promise<void>;
  /** @throws BlobError where there is none */
  get(key: string): Promise<Readable>;
  /** A page of what there is, in the order of keys. @param after key behind which it begins; empty for the first page */
  list(
    after: string,
  ): Promise<{ readonly blobs: readonly StoredBlob[]; readonly next: string | null }>;
  /** Does nothing where there is none. */
  delete(key: string): Promise<void>;
}

/** Content that is not there, or not what it should be: another try does not mend it. */
export class BlobError extends Error {
  override readonly name = 'BlobError';
}
