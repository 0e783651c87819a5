/**
 * LZ4's frame format, piece by piece. The library packs single blocks and whole frames only; a body
 * of any length wants its blocks one at a time, so the frame around them is written and read here.
 */
import { Transform } from 'node:stream';
import { compress, compressFrameSync, uncompress } from 'lz4-napi';
import { exception } from './exceptions.ts';

const MAGIC = 0x184d2204;
const FLAG_INDEPENDENT = 0x20;
const FLAG_BLOCK_CHECKSUM = 0x10;
const FLAG_CONTENT_SIZE = 0x08;
const FLAG_CONTENT_CHECKSUM = 0x04;
const FLAG_DICTIONARY = 0x01;
const STORED = 0x80000000;
/** The library writes the unpacked size before each block, which LZ4 itself does not. */
const SIZE_PREFIX = 4;
const WINDOW_BYTES = 65_536;

/** Packs a stream as one frame. */
export function lz4FrameEncoder(): Transform {
  // An empty frame's header is that of any frame; its end mark is the rest.
  const empty = compressFrameSync(Buffer.alloc(0));
  const header = empty.subarray(0, 7);
  const blockBytes = maxBlockBytes(header[5] ?? 0);
  let begun = false;
  const pack = async (stream: Transform, chunk: Buffer) => {
    if (!begun) stream.push(header);
    begun = true;
    for (let at = 0; at < chunk.byteLength; at += blockBytes) {
      const raw = chunk.subarray(at, at + blockBytes);
      const packed = (await compress(raw)).subarray(SIZE_PREFIX);
      const size = Buffer.alloc(4);
      if (packed.byteLength < raw.byteLength) {
        size.writeUInt32LE(packed.byteLength);
        stream.push(Buffer.concat([size, packed]));
      } else {
        size.writeUInt32LE((raw.byteLength | STORED) >>> 0);
        stream.push(Buffer.concat([size, raw]));
      }
    }
  };
  return new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      pack(this, chunk).then(() => callback(), callback);
    },
    flush(callback) {
      pack(this, Buffer.alloc(0)).then(() => {
        this.push(Buffer.alloc(4));
        callback();
      }, callback);
    },
  });
}

interface FrameHeader {
  readonly bytes: number;
  readonly flags: number;
  readonly maxBlock: number;
}

/** Unpacks one frame after the other. */
export function lz4FrameDecoder(): Transform {
  let pending: Buffer = Buffer.alloc(0);
  let header: FrameHeader | undefined;
  let window: Buffer = Buffer.alloc(0);

  const next = async (stream: Transform): Promise<boolean> => {
    if (!header) {
      header = readHeader(pending);
      if (!header) return false;
      pending = pending.subarray(header.bytes);
      window = Buffer.alloc(0);
    }
    if (pending.byteLength < 4) return false;
    const sign = pending.readUInt32LE(0);
    const size = sign & ~STORED;
    if (sign === 0) {
      const end = header.flags & FLAG_CONTENT_CHECKSUM ? 8 : 4;
      if (pending.byteLength < end) return false;
      pending = pending.subarray(end);
      header = undefined;
      return true;
    }
    if (size > header.maxBlock) throw damaged('a block is larger than its frame allows');
    const checksum = header.flags & FLAG_BLOCK_CHECKSUM ? 4 : 0;
    if (pending.byteLength < 4 + size + checksum) return false;
    const block = pending.subarray(4, 4 + size);
    pending = pending.subarray(4 + size + checksum);
    const isLinked = (header.flags & FLAG_INDEPENDENT) === 0;
    const plain =
      sign >>> 31 ? block : await unpack(block, header.maxBlock, isLinked ? window : undefined);
    if (isLinked) window = Buffer.concat([window, plain]).subarray(-WINDOW_BYTES);
    stream.push(plain);
    return true;
  };
  return new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      pending = pending.byteLength === 0 ? chunk : Buffer.concat([pending, chunk]);
      const run = async () => {
        while (await next(this));
      };
      run().then(() => callback(), callback);
    },
    flush(callback) {
      const isWhole = header === undefined && pending.byteLength === 0;
      callback(isWhole ? null : damaged('it ends too early'));
    },
  });
}

function readHeader(bytes: Buffer): FrameHeader | undefined {
  if (bytes.byteLength < 7) return undefined;
  if (bytes.readUInt32LE(0) !== MAGIC) throw damaged('it has no LZ4 frame');
  const flags = bytes[4] ?? 0;
  if (flags & FLAG_DICTIONARY) throw damaged('it needs a dictionary');
  const size = flags & FLAG_CONTENT_SIZE ? 15 : 7;
  if (bytes.byteLength < size) return undefined;
  return { bytes: size, flags, maxBlock: maxBlockBytes(bytes[5] ?? 0) };
}

function maxBlockBytes(descriptor: number): number {
  return 4 ** ((descriptor >> 4) & 7) * 256;
}

async function unpack(block: Buffer, maxBytes: number, window?: Buffer): Promise<Buffer> {
  const sized = Buffer.allocUnsafe(SIZE_PREFIX + block.byteLength);
  sized.writeUInt32LE(maxBytes, 0);
  block.copy(sized, SIZE_PREFIX);
  try {
    return await (window && window.byteLength > 0 ? uncompress(sized, window) : uncompress(sized));
  } catch {
    throw damaged('a block cannot be unpacked');
  }
}

function damaged(what: string): Error {
  return exception('CANNOT_DECOMPRESS', `Cannot decompress the body as LZ4: ${what}.`);
}
