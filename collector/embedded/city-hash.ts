/**
 * CityHash128 in the version 1.0.2 that ClickHouse keeps for the checksums of its blocks; later
 * versions of CityHash give other numbers. Each step is cut to 64 bits by `asUintN`, which V8 turns
 * into plain machine arithmetic.
 */

const K0 = 0xc3a5c85c97cb3127n;
const K1 = 0xb492b66fbe98f273n;
const K2 = 0x9ae16a3b2f90404fn;
const K3 = 0xc949d7c7509e6557n;
const MUL = 0x9ddfea08eb382d69n;

const cut = (value: bigint): bigint => BigInt.asUintN(64, value);
const add = (a: bigint, b: bigint): bigint => BigInt.asUintN(64, a + b);
const mul = (a: bigint, b: bigint): bigint => BigInt.asUintN(64, a * b);

function rotate(value: bigint, by: bigint): bigint {
  return by === 0n ? value : cut((value >> by) | cut(value << (64n - by)));
}

function shiftMix(value: bigint): bigint {
  return value ^ (value >> 47n);
}

function hash16(low: bigint, high: bigint): bigint {
  let a = mul(low ^ high, MUL);
  a ^= a >> 47n;
  let b = mul(high ^ a, MUL);
  b ^= b >> 47n;
  return mul(b, MUL);
}

function hash0to16(view: DataView, from: number, length: number): bigint {
  const size = BigInt(length);
  if (length > 8) {
    const a = view.getBigUint64(from, true);
    const b = view.getBigUint64(from + length - 8, true);
    return hash16(a, rotate(add(b, size), size)) ^ b;
  }
  if (length >= 4) {
    const a = BigInt(view.getUint32(from, true));
    return hash16(add(size, a << 3n), BigInt(view.getUint32(from + length - 4, true)));
  }
  if (length > 0) {
    const a = view.getUint8(from);
    const b = view.getUint8(from + (length >> 1));
    const c = view.getUint8(from + length - 1);
    const y = BigInt(a + (b << 8));
    const z = BigInt(length + (c << 2));
    return mul(shiftMix(mul(y, K2) ^ mul(z, K3)), K2);
  }
  return K2;
}

type Pair = readonly [low: bigint, high: bigint];

function murmur(view: DataView, from: number, length: number, [seedLow, seedHigh]: Pair): Pair {
  let a = seedLow;
  let b = seedHigh;
  let c = 0n;
  let d = 0n;
  if (length <= 16) {
    a = mul(shiftMix(mul(a, K1)), K1);
    c = add(mul(b, K1), hash0to16(view, from, length));
    d = shiftMix(add(a, length >= 8 ? view.getBigUint64(from, true) : c));
  } else {
    c = hash16(add(view.getBigUint64(from + length - 8, true), K1), a);
    d = hash16(add(b, BigInt(length)), add(c, view.getBigUint64(from + length - 16, true)));
    a = add(a, d);
    let at = from;
    for (let left = length - 16; left > 0; left -= 16) {
      a = mul(a ^ mul(shiftMix(mul(view.getBigUint64(at, true), K1)), K1), K1);
      b ^= a;
      c = mul(c ^ mul(shiftMix(mul(view.getBigUint64(at + 8, true), K1)), K1), K1);
      d ^= c;
      at += 16;
    }
  }
  a = hash16(a, c);
  b = hash16(d, b);
  return [a ^ b, hash16(b, a)];
}

/** State of the long hash: two pairs and three words. */
class LongHash {
  private v0: bigint;
  private v1: bigint;
  private w0: bigint;
  private w1: bigint;
  private x: bigint;
  private y: bigint;
  private z: bigint;
  private readonly view: DataView;

  constructor(view: DataView, from: number, length: number, [low, high]: Pair) {
    const word = (at: number) => view.getBigUint64(from + at, true);
    this.view = view;
    this.x = low;
    this.y = high;
    this.z = mul(BigInt(length), K1);
    this.v0 = add(mul(rotate(this.y ^ K1, 49n), K1), word(0));
    this.v1 = add(mul(rotate(this.v0, 42n), K1), word(8));
    this.w0 = add(mul(rotate(add(this.y, this.z), 35n), K1), this.x);
    this.w1 = mul(rotate(add(this.x, word(88)), 53n), K1);
  }

  /** Takes in 64 bytes. */
  roll(at: number): void {
    const { view } = this;
    const x = add(add(this.x, this.y), add(this.v0, view.getBigUint64(at + 16, true)));
    const y = add(this.y, add(this.v1, view.getBigUint64(at + 48, true)));
    const newX = mul(rotate(x, 37n), K1) ^ this.w1;
    const newY = mul(rotate(y, 42n), K1) ^ this.v0;
    const newZ = rotate(this.z ^ this.w0, 33n);
    this.mixV(at, mul(this.v1, K1), add(newX, this.w0));
    this.mixW(at + 32, add(newZ, this.w1), newY);
    this.x = newZ;
    this.y = newY;
    this.z = newX;
  }

  /** Takes in what is left after the last whole 128 bytes, from the end. */
  finish(end: number, left: number): Pair {
    let { x, y } = this;
    y = add(y, add(mul(rotate(this.w0, 37n), K0), this.z));
    x = add(x, mul(rotate(add(this.v0, this.z), 49n), K0));
    for (let done = 32; done < left + 32; done += 32) {
      y = add(mul(rotate(cut(y - x), 42n), K0), this.v1);
      this.w0 = add(this.w0, this.view.getBigUint64(end - done + 16, true));
      x = add(mul(rotate(x, 49n), K0), this.w0);
      this.w0 = add(this.w0, this.v0);
      this.mixV(end - done, this.v0, this.v1);
    }
    x = hash16(x, this.v0);
    y = hash16(y, this.w0);
    return [add(hash16(add(x, this.v1), this.w1), y), hash16(add(x, this.w1), add(y, this.v1))];
  }

  private mixV(at: number, seedA: bigint, seedB: bigint): void {
    const { view } = this;
    const last = view.getBigUint64(at + 24, true);
    let a = add(seedA, view.getBigUint64(at, true));
    let b = rotate(add(add(seedB, a), last), 21n);
    const c = a;
    a = add(a, add(view.getBigUint64(at + 8, true), view.getBigUint64(at + 16, true)));
    b = add(b, rotate(a, 44n));
    this.v0 = add(a, last);
    this.v1 = add(b, c);
  }

  private mixW(at: number, seedA: bigint, seedB: bigint): void {
    const { view } = this;
    const last = view.getBigUint64(at + 24, true);
    let a = add(seedA, view.getBigUint64(at, true));
    let b = rotate(add(add(seedB, a), last), 21n);
    const c = a;
    a = add(a, add(view.getBigUint64(at + 8, true), view.getBigUint64(at + 16, true)));
    b = add(b, rotate(a, 44n));
    this.w0 = add(a, last);
    this.w1 = add(b, c);
  }
}

function seeded(view: DataView, from: number, length: number, seed: Pair): Pair {
  if (length < 128) return murmur(view, from, length, seed);
  const state = new LongHash(view, from, length, seed);
  const end = from + length;
  let at = from;
  for (; end - at >= 128; at += 128) {
    state.roll(at);
    state.roll(at + 64);
  }
  return state.finish(end, end - at);
}

/** The checksum of `bytes`, as ClickHouse writes it: 16 bytes, low half first. */
export function cityHash128(bytes: Uint8Array): Buffer {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = bytes.byteLength;
  const size = BigInt(length);
  let result: Pair;
  if (length >= 16) {
    const seed = [view.getBigUint64(0, true) ^ K3, view.getBigUint64(8, true)] as const;
    result = seeded(view, 16, length - 16, seed);
  } else if (length >= 8) {
    const low = view.getBigUint64(0, true) ^ mul(size, K0);
    result = seeded(view, 0, 0, [low, view.getBigUint64(length - 8, true) ^ K1]);
  } else {
    result = seeded(view, 0, length, [K0, K1]);
  }
  const out = Buffer.alloc(16);
  out.writeBigUInt64LE(result[0], 0);
  out.writeBigUInt64LE(result[1], 8);
  return out;
}
