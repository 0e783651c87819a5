/** Bytes of an output stream as lines. A line without end is cut, and the rest of it let go: nothing grows. */
import { StringDecoder } from 'node:string_decoder';

const MAX_LINE = 16_384;

export class LineSplitter {
  readonly #decoder = new StringDecoder('utf8');
  readonly #take: (line: string) => void;
  #rest = '';
  #cut = 0;

  constructor(take: (line: string) => void) {
    this.#take = take;
  }

  write(chunk: Uint8Array): void {
    const text = this.#decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    let start = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      this.#add(text, start, end);
      this.#tell();
      start = end + 1;
    }
    this.#add(text, start, text.length);
  }

  /** Tells a last line that has no end. */
  end(): void {
    if (this.#rest !== '' || this.#cut > 0) this.#tell();
  }

  #add(text: string, start: number, end: number): void {
    const room = MAX_LINE - this.#rest.length;
    const part = text.slice(start, Math.min(end, start + room));
    this.#rest += part;
    this.#cut += end - start - part.length;
  }

  #tell(): void {
    const line = this.#rest.endsWith('\r') ? this.#rest.slice(0, -1) : this.#rest;
    const more = this.#cut > 0 ? `… (${this.#cut} more characters)` : '';
    this.#rest = '';
    this.#cut = 0;
    this.#take(`${line}${more}`);
  }
}
