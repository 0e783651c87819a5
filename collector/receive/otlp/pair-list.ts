/**
 * Attributes of one item as places in the body, until they are written in the order of their keys: the Collector's
 * exporter sorts them, and the last one counts where a key comes twice.
 */
import type { MapColumn } from './columns.ts';
import { readAnyField } from './protobuf-parts.ts';
import { valueText } from './value-text.ts';
import type { WireReader } from './wire.ts';

/** A list that is filled and written again and again. */
export class PairList {
  count = 0;
  private readonly keyStart: number[] = [];
  private readonly keyStop: number[] = [];
  private readonly valueStart: number[] = [];
  private readonly valueStop: number[] = [];
  /** Text of values that are no strings; null where the value's bytes are the text. */
  private readonly text: (string | null)[] = [];
  private readonly order: number[] = [];

  clear(): void {
    this.count = 0;
  }

  /** Notes the present field, a KeyValue. */
  read(reader: WireReader): void {
    const index = this.count++;
    this.keyStart[index] = this.keyStop[index] = 0;
    this.valueStart[index] = this.valueStop[index] = 0;
    this.text[index] = null;
    const outer = reader.enter();
    while (reader.next()) {
      if (reader.field === 1) {
        this.keyStart[index] = reader.bytes();
        this.keyStop[index] = reader.stop;
      } else if (reader.field === 2) this.readValue(reader, index);
      else reader.skip();
    }
    reader.leave(outer);
  }

  private readValue(reader: WireReader, index: number): void {
    const outer = reader.enter();
    while (reader.next()) {
      if (reader.field === 1) {
        this.valueStart[index] = reader.bytes();
        this.valueStop[index] = reader.stop;
        this.text[index] = null;
      } else {
        const value = readAnyField(reader);
        if (value !== undefined) this.text[index] = valueText(value);
      }
    }
    reader.leave(outer);
  }

  /** Writes the pairs as one map. */
  writeTo(column: MapColumn, from: Uint8Array): void {
    if (this.isSorted(from)) {
      for (let index = 0; index < this.count; index += 1) this.writePair(column, from, index);
      column.end(this.count);
      return;
    }
    const { order } = this;
    this.sort(from);
    let written = 0;
    for (let place = 0; place < this.count; place += 1) {
      const index = order[place] as number;
      const next = order[place + 1];
      const again = place + 1 < this.count && this.compare(from, index, next as number) === 0;
      if (again) continue;
      this.writePair(column, from, index);
      written += 1;
    }
    column.end(written);
  }

  private writePair(column: MapColumn, from: Uint8Array, index: number): void {
    const { keys, values } = column.elements;
    keys.add(from, this.keyStart[index] as number, this.keyStop[index] as number);
    const text = this.text[index];
    if (typeof text === 'string') values.addText(text);
    else values.add(from, this.valueStart[index] as number, this.valueStop[index] as number);
  }

  private isSorted(from: Uint8Array): boolean {
    for (let index = 1; index < this.count; index += 1) {
      if (this.compare(from, index - 1, index) >= 0) return false;
    }
    return true;
  }

  /** Insertion sort: the lists are short, and often nearly in order. It keeps equal keys as they came. */
  private sort(from: Uint8Array): void {
    const { order } = this;
    for (let index = 0; index < this.count; index += 1) {
      let place = index;
      while (place > 0 && this.compare(from, order[place - 1] as number, index) > 0) {
        order[place] = order[place - 1] as number;
        place -= 1;
      }
      order[place] = index;
    }
  }

  private compare(from: Uint8Array, a: number, b: number): number {
    const aStop = this.keyStop[a] as number;
    const bStop = this.keyStop[b] as number;
    let at = this.keyStart[a] as number;
    let bt = this.keyStart[b] as number;
    for (; at < aStop && bt < bStop; at += 1, bt += 1) {
      const difference = (from[at] as number) - (from[bt] as number);
      if (difference !== 0) return difference;
    }
    return aStop - at - (bStop - bt);
  }
}
