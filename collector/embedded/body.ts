/** A request's body: unpacked, in pieces, in the order HTTP coding and then ClickHouse's blocks. */
import type { IncomingMessage } from 'node:http';
import type { Transform } from 'node:stream';
import { readBlocks } from './block-framing.ts';
import { decoder } from './content-coding.ts';
import { ClickHouseException, exception } from './exceptions.ts';

/** The text of a statement, without the rows of an INSERT. */
export const MAX_QUERY_BYTES = 4 * 1_048_576;

/** The bytes of the body as they come. */
export function readBody(request: IncomingMessage, inBlocks: boolean): AsyncIterable<Uint8Array> {
  const unpacking = decoder(String(request.headers['content-encoding'] ?? ''));
  const plain = unpacking ? unpacked(request, unpacking) : request;
  return inBlocks ? readBlocks(plain) : plain;
}

async function* unpacked(
  request: IncomingMessage,
  unpacking: Transform,
): AsyncGenerator<Uint8Array> {
  const broken = () => unpacking.destroy(new Error('the request broke off'));
  request.once('error', broken);
  request.pipe(unpacking);
  try {
    yield* unpacking as AsyncIterable<Buffer>;
  } catch (error) {
    if (error instanceof ClickHouseException) throw error;
    throw exception('CANNOT_DECOMPRESS', `Cannot decompress the body: ${String(error)}.`);
  } finally {
    request.off('error', broken);
    unpacking.destroy();
  }
}

/**
 * A stream whose beginning can be looked at before the rest is read.
 * `head` holds at least `MAX_QUERY_BYTES`, or everything.
 */
export interface OpenedBody {
  readonly head: Buffer;
  readonly isWhole: boolean;
  rest(): AsyncIterable<Uint8Array>;
}

/**
 * Reads on until `enough` says so, the limit is reached, or the body ends.
 * @param prefix stands before the body: the query of the URL
 */
export async function openBody(
  prefix: Uint8Array,
  chunks: AsyncIterable<Uint8Array>,
  enough: (head: Buffer) => boolean,
): Promise<OpenedBody> {
  const iterator = chunks[Symbol.asyncIterator]();
  let head = Buffer.from(prefix);
  let parts: Uint8Array[] = [head];
  let size = head.byteLength;
  let look = 1;
  let isWhole = false;
  while (size <= MAX_QUERY_BYTES) {
    if (size >= look) {
      head = Buffer.concat(parts);
      parts = [head];
      if (enough(head)) break;
      // Look again only when it has doubled, so that a long text is not read over and over.
      look = Math.max(65_536, size * 2);
    }
    const next = await iterator.next();
    if (next.done) {
      isWhole = true;
      break;
    }
    parts.push(next.value);
    size += next.value.byteLength;
  }
  head = Buffer.concat(parts);
  return { head, isWhole, rest: () => ({ [Symbol.asyncIterator]: () => iterator }) };
}
