/** Reads blocks of ClickHouse's Native format back into rows, for the few types that the product writes. */

type Reader = (cursor: Cursor, rows: number) => unknown[];

class Cursor {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  get atEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.bytes.readUInt8(this.at++);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  string(): string {
    const length = this.varint();
    this.at += length;
    return this.bytes.toString('utf8', this.at - length, this.at);
  }

  uint64(): bigint {
    this.at += 8;
    return this.bytes.readBigUInt64LE(this.at - 8);
  }
}

/** All rows of all blocks; integers as bigint, maps as lists of pairs. */
export function readNative(bytes: Buffer): Record<string, unknown>[] {
  const cursor = new Cursor(bytes);
  const rows: Record<string, unknown>[] = [];
  while (!cursor.atEnd) {
    const columns = cursor.varint();
    const count = cursor.varint();
    const block = Array.from({ length: count }, (): Record<string, unknown> => ({}));
    for (let column = 0; column < columns; column += 1) {
      const name = cursor.string();
      const values = readerOf(cursor.string())(cursor, count);
      for (const [index, row] of block.entries()) row[name] = values[index];
    }
    rows.push(...block);
  }
  return rows;
}

function readerOf(type: string): Reader {
  if (type === 'String') return (cursor, rows) => repeat(rows, () => cursor.string());
  if (type === 'UInt64' || type === 'DateTime64(9)') {
    return (cursor, rows) => repeat(rows, () => cursor.uint64());
  }
  if (type === 'Map(String, String)') {
    return arrayOf((cursor, count) => {
      const keys = repeat(count, () => cursor.string());
      const values = repeat(count, () => cursor.string());
      return keys.map((key, index) => [key, values[index]]);
    });
  }
  const inner = /^Array\((.*)\)$/.exec(type)?.[1];
  if (inner === undefined) throw new Error(`no reader for ${type}`);
  return arrayOf(readerOf(inner));
}

function arrayOf(elements: Reader): Reader {
  return (cursor, rows) => {
    const ends = repeat(rows, () => Number(cursor.uint64()));
    const all = elements(cursor, ends.at(-1) ?? 0);
    return ends.map((end, index) => all.slice(index === 0 ? 0 : ends[index - 1], end));
  };
}

function repeat<T>(count: number, read: () => T): T[] {
  return Array.from({ length: count }, read);
}
