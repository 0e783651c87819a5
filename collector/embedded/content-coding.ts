/** HTTP's content codings, as ClickHouse takes and gives them. */
import type { Transform } from 'node:stream';
import {
  constants,
  createBrotliCompress,
  createBrotliDecompress,
  createDeflate,
  createGunzip,
  createGzip,
  createInflate,
  createZstdCompress,
  createZstdDecompress,
} from 'node:zlib';
import { exception } from './exceptions.ts';
import { lz4FrameDecoder, lz4FrameEncoder } from './lz4-frame.ts';

export type Coding = 'br' | 'gzip' | 'deflate' | 'zstd' | 'lz4';

/** In the order in which ClickHouse prefers them. */
const CODINGS: readonly Coding[] = ['br', 'gzip', 'deflate', 'zstd', 'lz4'];

/** The coding for a reply, or none. */
export function chooseCoding(acceptEncoding: string | undefined): Coding | undefined {
  const refused = /;\s*q=0(?:\.0*)?\s*$/i;
  const accepted = new Set<string>();
  for (const part of (acceptEncoding ?? '').split(',')) {
    if (!refused.test(part)) accepted.add(part.split(';')[0]?.trim().toLowerCase() ?? '');
  }
  return CODINGS.find((coding) => accepted.has(coding));
}

/** A stream that packs a reply: fast rather than small. */
export function encoder(coding: Coding): Transform {
  switch (coding) {
    case 'br':
      return createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 1 } });
    case 'gzip':
      return createGzip({ level: 3 });
    case 'deflate':
      return createDeflate({ level: 3 });
    case 'zstd':
      return createZstdCompress();
    case 'lz4':
      return lz4FrameEncoder();
  }
}

/**
 * A stream that unpacks a request's body.
 * @throws ClickHouseException UNKNOWN_COMPRESSION_METHOD
 */
export function decoder(contentEncoding: string): Transform | undefined {
  switch (contentEncoding.trim().toLowerCase()) {
    case '':
    case 'identity':
      return undefined;
    case 'br':
      return createBrotliDecompress();
    case 'gzip':
    case 'x-gzip':
      return createGunzip();
    case 'deflate':
      return createInflate();
    case 'zstd':
      return createZstdDecompress();
    case 'lz4':
      return lz4FrameDecoder();
    default:
      throw exception(
        'UNKNOWN_COMPRESSION_METHOD',
        `Unknown compression method '${contentEncoding}'. Only 'br', 'gzip', 'deflate', 'zstd' and 'lz4' are supported as HTTP compression.`,
      );
  }
}
