/**
 * What thresholds look at, counted while rows go by. How often a key was seen is kept as 64 bits of its hash in a flat
 * table, sixteen bytes a row at most, so that tens of millions of rows can be compared; two keys with one hash are one
 * in 10^19.
 */
import { hash } from 'node:crypto';
import type { Row } from './io.ts';

const FIRST_SIZE = 1_024;
const FULL = 0.6;
/** A slot that holds nothing. */
const EMPTY = 0n;

/** Tells keys apart that were seen before. */
export class SeenKeys {
  #slots = new BigUint64Array(FIRST_SIZE);
  #used = 0;

  /** @returns whether the key is new */
  add(key: string): boolean {
    const digest = hash('sha1', key, 'buffer').readBigUInt64LE();
    const value = digest === EMPTY ? 1n : digest;
    if (this.#used >= this.#slots.length * FULL) this.#grow();
    const place = slotOf(this.#slots, value);
    if (this.#slots[place] === value) return false;
    this.#slots[place] = value;
    this.#used += 1;
    return true;
  }

  #grow(): void {
    const before = this.#slots;
    const larger = new BigUint64Array(before.length * 2);
    for (const value of before) if (value !== EMPTY) larger[slotOf(larger, value)] = value;
    this.#slots = larger;
  }
}

/** Where the value stands, or would stand. The size is a power of two. */
function slotOf(slots: BigUint64Array, value: bigint): number {
  const mask = slots.length - 1;
  let place = Number(value & 0xffff_ffffn) & mask;
  while (slots[place] !== EMPTY && slots[place] !== value) place = (place + 1) & mask;
  return place;
}

/** The values of these columns as one text; different values give different texts. */
export function keyOf(row: Row, columns: readonly string[]): string {
  return JSON.stringify(columns.map((column) => plain(row[column])));
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return { bigint: value.toString() };
  // JSON would make null of it, or a text of a time.
  if (typeof value === 'number' && !Number.isFinite(value)) return { number: String(value) };
  if (value instanceof Date) return { time: value.getTime() };
  return value ?? null;
}
