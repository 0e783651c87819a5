/**
 * Columns in ClickHouse's Native format, built value by value: bytes that came in are copied once and never made
 * into text. A block is its columns' names, types and values; blocks one after the other are a valid insert.
 * A builder is used again for request after request, so that its memory has grown to size by the second one.
 */

const FIRST_CAPACITY = 16 * 1024;
const LARGEST_KEPT = 2 * 1024 * 1024;
/** Above this many bytes a native copy is faster than a loop. */
const SHORT_COPY = 40;
const HEX = Buffer.from('0123456789abcdef');

/** Bytes that grow at their end. */
class Bytes {
  bytes = Buffer.allocUnsafe(FIRST_CAPACITY);
  length = 0;

  clear(): void {
    this.length = 0;
    // One huge request must not hold its memory for good.
    if (this.bytes.length > LARGEST_KEPT) this.bytes = Buffer.allocUnsafe(FIRST_CAPACITY);
  }

  reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }

  varint(value: number): void {
    this.reserve(5);
    let rest = value;
    while (rest >= 0x80) {
      this.bytes[this.length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.length++] = rest;
  }

  copy(from: Uint8Array, start: number, stop: number): void {
    const size = stop - start;
    this.reserve(size);
    if (size > SHORT_COPY) this.bytes.set(from.subarray(start, stop), this.length);
    else {
      const { bytes } = this;
      let at = this.length;
      for (let index = start; index < stop; index += 1) bytes[at++] = from[index] as number;
    }
    this.length += size;
  }

  /** Once more what stands from `start` to `stop` in this very column. */
  repeat(start: number, stop: number): void {
    this.reserve(stop - start);
    this.bytes.copyWithin(this.length, start, stop);
    this.length += stop - start;
  }
}

/** One column of a block; `parts` are its bytes in order. */
interface Column {
  parts(): Buffer[];
  clear(): void;
}

/** String. */
export class StringColumn extends Bytes implements Column {
  add(from: Uint8Array, start: number, stop: number): void {
    this.varint(stop - start);
    this.copy(from, start, stop);
  }

  addText(text: string): void {
    const size = Buffer.byteLength(text);
    this.varint(size);
    this.reserve(size);
    this.length += this.bytes.write(text, this.length, 'utf8');
  }

  /** Bytes as lower-case hexadecimal; nothing where they are all zero. */
  addHex(from: Uint8Array, start: number, stop: number): void {
    let any = 0;
    for (let index = start; index < stop; index += 1) any |= from[index] as number;
    if (any === 0) {
      this.varint(0);
      return;
    }
    this.varint((stop - start) * 2);
    this.reserve((stop - start) * 2);
    const { bytes } = this;
    let at = this.length;
    for (let index = start; index < stop; index += 1) {
      const byte = from[index] as number;
      bytes[at++] = HEX[byte >> 4] as number;
      bytes[at++] = HEX[byte & 15] as number;
    }
    this.length = at;
  }

  parts(): Buffer[] {
    return [this.bytes.subarray(0, this.length)];
  }
}

/** UInt64, or a DateTime64(9) as nanoseconds. */
export class Fixed64Column extends Bytes implements Column {
  /** Eight bytes as they came, lowest first. */
  add(from: Uint8Array, at: number): void {
    this.copy(from, at, at + 8);
  }

  addParts(low: number, high: number): void {
    this.reserve(8);
    this.bytes.writeInt32LE(low | 0, this.length);
    this.bytes.writeInt32LE(high | 0, this.length + 4);
    this.length += 8;
  }

  parts(): Buffer[] {
    return [this.bytes.subarray(0, this.length)];
  }
}

/** Array: each row's end in the column of its elements. */
export class ArrayColumn<Elements extends Column> implements Column {
  readonly elements: Elements;
  private readonly ends = new Fixed64Column();
  private total = 0;

  constructor(elements: Elements) {
    this.elements = elements;
  }

  /** Ends a row to which `count` elements were added. */
  end(count: number): void {
    this.total += count;
    this.ends.addParts(this.total, 0);
  }

  parts(): Buffer[] {
    return [...this.ends.parts(), ...this.elements.parts()];
  }

  clear(): void {
    this.total = 0;
    this.ends.clear();
    this.elements.clear();
  }
}

/** Keys and values of maps, one pair after the other. */
class Pairs implements Column {
  readonly keys = new StringColumn();
  readonly values = new StringColumn();

  parts(): Buffer[] {
    return [...this.keys.parts(), ...this.values.parts()];
  }

  clear(): void {
    this.keys.clear();
    this.values.clear();
  }
}

/** Map(String, String). */
export type MapColumn = ArrayColumn<Pairs>;

export function mapColumn(): MapColumn {
  return new ArrayColumn(new Pairs());
}

/** A column with its name and type. */
export type NamedColumn = readonly [name: string, type: string, column: Column];

/** The block of `rows` rows; the columns may be cleared afterwards. */
export function nativeBlock(columns: readonly NamedColumn[], rows: number): Buffer {
  const parts: Buffer[] = [];
  const head = new StringColumn();
  head.varint(columns.length);
  head.varint(rows);
  parts.push(...head.parts());
  for (const [name, type, column] of columns) {
    const title = new StringColumn();
    title.addText(name);
    title.addText(type);
    parts.push(...title.parts(), ...column.parts());
  }
  return Buffer.concat(parts);
}
