/**
 * Bodies as they were before compression. A small body may stand for gigabytes: the output is counted as it
 * comes and the work ends at the limit; and only few bodies are unpacked at a time, so that many such bodies
 * at once hold no more memory than a few.
 */
import { promisify } from 'node:util';
import { gunzip, inflate, zstdDecompress } from 'node:zlib';
import { SignalboxError } from '../../../domain/errors.ts';

/** Largest body after decompression; the OpenTelemetry Collector's own default. */
const MAX_BODY_BYTES = 20 * 1024 * 1024;

const CHUNK_BYTES = 128 * 1024;
const AT_ONCE = 4;

const UNPACK = {
  gzip: promisify(gunzip),
  deflate: promisify(inflate),
  zstd: promisify(zstdDecompress),
} as const;

/** Makes the function that unpacks bodies, a few at a time. */
export function createDecompressor() {
  let running = 0;
  const waiting: (() => void)[] = [];

  async function turn<T>(work: () => Promise<T>): Promise<T> {
    if (running >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  }

  /**
   * @param encoding the request's Content-Encoding
   * @throws SignalboxError `body-too-large`, `malformed-compression`, `unsupported-media-type`
   */
  return async function decompress(body: Uint8Array, encoding: string | null): Promise<Uint8Array> {
    const name = (encoding ?? 'identity').trim().toLowerCase();
    if (name === '' || name === 'identity') {
      if (body.length > MAX_BODY_BYTES) throw tooLarge();
      return body;
    }
    if (!isKnown(name)) {
      throw new SignalboxError('unsupported-media-type', 'Content-Encoding: gzip, deflate, zstd');
    }
    return turn(async () => {
      try {
        return await UNPACK[name](body, {
          maxOutputLength: MAX_BODY_BYTES,
          chunkSize: CHUNK_BYTES,
        });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge();
        throw new SignalboxError('malformed-compression', `it is not ${name}, or was cut off`);
      }
    });
  };
}

function isKnown(name: string): name is keyof typeof UNPACK {
  return Object.hasOwn(UNPACK, name);
}

function tooLarge(): SignalboxError {
  return new SignalboxError(
    'body-too-large',
    `at most ${MAX_BODY_BYTES} bytes after decompression`,
  );
}
