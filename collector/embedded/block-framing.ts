/**
 * ClickHouse's own compressed blocks (`compress=1`, `decompress=1`): a checksum of 16 bytes, then the
 * method, the packed size with these nine bytes, the unpacked size, and the data.
 */
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { compress, uncompress } from 'lz4-napi';
import { cityHash128 } from './city-hash.ts';
import { type ClickHouseException, exception } from './exceptions.ts';

export type BlockMethod = 'lz4' | 'zstd';

const METHOD_LZ4 = 0x82;
const METHOD_ZSTD = 0x90;
const METHOD_NONE = 0x02;
const CHECKSUM_BYTES = 16;
const HEADER_BYTES = 9;
/** Unpacked bytes in a block that is written; ClickHouse's own default. */
const BLOCK_BYTES = 1_048_576;
/** The most that a client's block may unpack to, so that a small one cannot fill the memory. */
const MAX_BLOCK_BYTES = 128 * 1_048_576;
/** The LZ4 library writes the unpacked size before each block; ClickHouse has it in its header. */
const SIZE_PREFIX = 4;

const packZstd = promisify(zstdCompress);
const unpackZstd = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(zstdDecompress);

/** Packs bytes into as many blocks as they need. */
export async function* writeBlocks(
  bytes: Uint8Array,
  method: BlockMethod,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += BLOCK_BYTES) {
    yield writeBlock(bytes.subarray(at, at + BLOCK_BYTES), method);
  }
}

async function writeBlock(raw: Uint8Array, method: BlockMethod): Promise<Uint8Array> {
  const packed =
    method === 'lz4' ? (await compress(raw)).subarray(SIZE_PREFIX) : await packZstd(raw);
  const block = Buffer.allocUnsafe(CHECKSUM_BYTES + HEADER_BYTES + packed.byteLength);
  block[CHECKSUM_BYTES] = method === 'lz4' ? METHOD_LZ4 : METHOD_ZSTD;
  block.writeUInt32LE(HEADER_BYTES + packed.byteLength, CHECKSUM_BYTES + 1);
  block.writeUInt32LE(raw.byteLength, CHECKSUM_BYTES + 5);
  packed.copy(block, CHECKSUM_BYTES + HEADER_BYTES);
  cityHash128(block.subarray(CHECKSUM_BYTES)).copy(block, 0);
  return block;
}

/**
 * Unpacks a stream of blocks.
 * @throws ClickHouseException for a wrong checksum, an unknown method, a size beyond all measure
 */
export async function* readBlocks(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let have = 0;
  let need = CHECKSUM_BYTES + HEADER_BYTES;
  for await (const chunk of chunks) {
    parts.push(chunk);
    have += chunk.byteLength;
    if (have < need) continue;
    let pending = Buffer.concat(parts);
    while (pending.byteLength >= CHECKSUM_BYTES + HEADER_BYTES) {
      need = blockBytes(pending);
      if (pending.byteLength < need) break;
      yield await readBlock(pending.subarray(0, need));
      pending = pending.subarray(need);
      need = CHECKSUM_BYTES + HEADER_BYTES;
    }
    parts = [pending];
    have = pending.byteLength;
  }
  if (have > 0) throw damaged('the last block is cut off');
}

function blockBytes(pending: Buffer): number {
  const packed = pending.readUInt32LE(CHECKSUM_BYTES + 1);
  const unpacked = pending.readUInt32LE(CHECKSUM_BYTES + 5);
  if (packed < HEADER_BYTES || packed > MAX_BLOCK_BYTES || unpacked > MAX_BLOCK_BYTES) {
    throw damaged(`a block of ${unpacked} bytes in ${packed} is beyond all measure`);
  }
  return CHECKSUM_BYTES + packed;
}

async function readBlock(block: Buffer): Promise<Uint8Array> {
  const body = block.subarray(CHECKSUM_BYTES);
  if (!cityHash128(body).equals(block.subarray(0, CHECKSUM_BYTES))) {
    throw exception('CHECKSUM_DOESNT_MATCH', "Checksum doesn't match: corrupted data.");
  }
  const size = body.readUInt32LE(5);
  const packed = body.subarray(HEADER_BYTES);
  const raw = await unpack(body[0] ?? 0, packed, size);
  if (raw.byteLength !== size) throw damaged('a block is not as long as it says');
  return raw;
}

async function unpack(method: number, packed: Buffer, size: number): Promise<Uint8Array> {
  try {
    if (method === METHOD_NONE) return packed;
    if (method === METHOD_ZSTD) return await unpackZstd(packed, { maxOutputLength: size });
    if (method === METHOD_LZ4) {
      const sized = Buffer.allocUnsafe(SIZE_PREFIX + packed.byteLength);
      sized.writeUInt32LE(size, 0);
      packed.copy(sized, SIZE_PREFIX);
      return await uncompress(sized);
    }
  } catch {
    throw damaged('a block cannot be unpacked');
  }
  throw exception(
    'UNKNOWN_COMPRESSION_METHOD',
    `Unknown compression method 0x${method.toString(16)}: use LZ4 or ZSTD.`,
  );
}

function damaged(what: string): ClickHouseException {
  return exception('CANNOT_DECOMPRESS', `Cannot decompress the body: ${what}.`);
}
