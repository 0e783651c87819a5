/**
 * Reads protobuf's wire format in place: no schema, no objects, one pass. A reader is a window into the body;
 * an embedded message is the same reader with a nearer end (`enter`, `leave`).
 *
 * Whoever uses it names the field numbers; fields it does not know it skips, as the format asks. A field with
 * another wire type than expected, a length beyond the window or a varint that does not end is malformed.
 */

/** The bytes are not a protobuf message, or not of the expected kind. */
export class MalformedProtobufError extends Error {
  constructor(what: string, at: number) {
    super(`${what} at byte ${at}`);
    this.name = 'MalformedProtobufError';
  }
}

const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

const MAX_DEPTH = 64;

export class WireReader {
  /** The whole body; places are counted in it. */
  readonly buffer: Buffer;
  private readonly view: DataView;
  private position = 0;
  private end: number;
  private depth = 0;
  /** Number of the field that `next` has come to. */
  field = 0;
  private wireType = 0;
  /** Where the value that `bytes` passed over ends. */
  stop = 0;

  constructor(body: Uint8Array) {
    this.buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    this.view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    this.end = body.byteLength;
  }

  /** Goes to the next field of this message. @returns false at its end */
  next(): boolean {
    if (this.position >= this.end) return false;
    const tag = this.uint32();
    this.field = tag >>> 3;
    this.wireType = tag & 7;
    if (this.field === 0) throw this.malformed('field number 0');
    return true;
  }

  /** Enters the embedded message that the present field holds. @returns what `leave` needs */
  enter(): number {
    const length = this.length();
    if (++this.depth > MAX_DEPTH) throw this.malformed('messages nested too deep');
    const outer = this.end;
    this.end = this.position + length;
    return outer;
  }

  leave(outer: number): void {
    this.position = this.end;
    this.end = outer;
    this.depth -= 1;
  }

  /** Passes over an embedded message, to be read later by `revisit`. @returns its place */
  mark(): number {
    const place = this.position;
    const length = this.length();
    this.position += length;
    return place;
  }

  /** Runs `read` inside the message that was marked, then comes back. */
  revisit(place: number, read: () => void): void {
    const { position, wireType } = this;
    this.position = place;
    this.wireType = WIRE.bytes;
    const outer = this.enter();
    read();
    this.leave(outer);
    this.position = position;
    this.wireType = wireType;
  }

  /** Passes over a string or bytes. @returns where it begins; `stop` tells where it ends */
  bytes(): number {
    const length = this.length();
    const start = this.position;
    this.position += length;
    this.stop = this.position;
    return start;
  }

  /** Passes over a fixed 64-bit value. @returns where its eight bytes begin */
  fixed64At(): number {
    return this.take(WIRE.fixed64, 8);
  }

  uint32LE(at: number): number {
    return this.view.getUint32(at, true);
  }

  string(): string {
    const length = this.length();
    const start = this.position;
    this.position += length;
    return this.buffer.toString('utf8', start, this.position);
  }

  /** Bytes as lower-case hexadecimal. */
  hex(): string {
    const length = this.length();
    const start = this.position;
    this.position += length;
    return this.buffer.toString('hex', start, this.position);
  }

  base64(): string {
    const length = this.length();
    const start = this.position;
    this.position += length;
    return this.buffer.toString('base64', start, this.position);
  }

  bool(): boolean {
    this.expect(WIRE.varint);
    return this.uint64() !== 0n;
  }

  /** A varint of at most 32 bits (enumerations, counts); negative ones as enumerations send them. */
  int32(): number {
    this.expect(WIRE.varint);
    return this.uint32() | 0;
  }

  sint32(): number {
    this.expect(WIRE.varint);
    const raw = this.uint32();
    return (raw >>> 1) ^ -(raw & 1);
  }

  uint32Field(): number {
    this.expect(WIRE.varint);
    return this.uint32() >>> 0;
  }

  /** A number where it is exact, else a bigint. */
  int64(): number | bigint {
    this.expect(WIRE.varint);
    const first = this.buffer[this.position];
    if (first !== undefined && first < 0x80 && this.position < this.end) {
      this.position += 1;
      return first;
    }
    return narrow(BigInt.asIntN(64, this.uint64()));
  }

  sfixed64(): number | bigint {
    return narrow(this.view.getBigInt64(this.take(WIRE.fixed64, 8), true));
  }

  fixed64(): bigint {
    return this.view.getBigUint64(this.take(WIRE.fixed64, 8), true);
  }

  fixed32(): number {
    return this.view.getUint32(this.take(WIRE.fixed32, 4), true);
  }

  double(): number {
    return this.view.getFloat64(this.take(WIRE.fixed64, 8), true);
  }

  /** Repeated numbers, packed or one by one; `read` takes one as it stands in the list. */
  repeatedFixed64(into: bigint[]): void {
    this.repeated(WIRE.fixed64, () => into.push(this.fixed64()));
  }

  repeatedDouble(into: number[]): void {
    this.repeated(WIRE.fixed64, () => into.push(this.double()));
  }

  repeatedUint64(into: bigint[]): void {
    this.repeated(WIRE.varint, () => into.push(this.uint64()));
  }

  /** Passes over the present field. */
  skip(): void {
    if (this.wireType === WIRE.varint) this.uint64();
    else if (this.wireType === WIRE.fixed64) this.take(WIRE.fixed64, 8);
    else if (this.wireType === WIRE.fixed32) this.take(WIRE.fixed32, 4);
    else if (this.wireType === WIRE.bytes) this.mark();
    else throw this.malformed(`wire type ${this.wireType}`);
  }

  private repeated(single: number, readOne: () => void): void {
    if (this.wireType === single) {
      readOne();
      return;
    }
    const outer = this.enter();
    this.wireType = single;
    while (this.position < this.end) readOne();
    this.leave(outer);
  }

  private length(): number {
    this.expect(WIRE.bytes);
    const length = this.uint32() >>> 0;
    if (length > this.end - this.position) throw this.malformed('a length beyond the message');
    return length;
  }

  private expect(wireType: number): void {
    if (this.wireType !== wireType) {
      throw this.malformed(`wire type ${this.wireType} in field ${this.field}`);
    }
  }

  /** Moves over `size` bytes of a fixed-width value. @returns where it begins */
  private take(wireType: number, size: number): number {
    this.expect(wireType);
    const at = this.position;
    if (size > this.end - at) throw this.malformed('a value beyond the message');
    this.position = at + size;
    return at;
  }

  /** A varint; its low 32 bits. */
  private uint32(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.position >= this.end) throw this.malformed('a varint beyond the message');
      const byte = this.buffer[this.position++] as number;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw this.malformed('a varint of more than 10 bytes');
  }

  private uint64(): bigint {
    let low = 0;
    let high = 0;
    for (let index = 0; index < 10; index += 1) {
      if (this.position >= this.end) throw this.malformed('a varint beyond the message');
      const byte = this.buffer[this.position++] as number;
      const bits = byte & 0x7f;
      if (index < 4) low |= bits << (7 * index);
      else if (index === 4) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (7 * index - 32);
      if (byte < 0x80) return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
    }
    throw this.malformed('a varint of more than 10 bytes');
  }

  private malformed(what: string): MalformedProtobufError {
    return new MalformedProtobufError(what, this.position);
  }
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
