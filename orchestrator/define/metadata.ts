/** Facts about a version that say how they want to be shown: `ctx.record({ metadata: { preview: md('…') } })`. */
import type { MetadataEntry } from '../../domain/asset.ts';
import type { Row } from './io.ts';

const MAX_TABLE_ROWS = 1_000;

/** Markdown. */
export function md(text: string): MetadataEntry {
  return { type: 'markdown', value: String(text) };
}

/** Typed entries of metadata. Numbers, texts and booleans need none. */
export const metadata = {
  md,
  /**
   * A link.
   * @throws TypeError where it is no http(s) address
   */
  url(address: string | URL): MetadataEntry {
    const url = new URL(address);
    if (url.protocol !== 'http:' && url.protocol !== 'https:') {
      throw new TypeError(`${String(address)} is no http address`);
    }
    return { type: 'url', value: url.href };
  },
  json(value: unknown): MetadataEntry {
    return { type: 'json', value };
  },
  /** Rows, of which at most 1,000 are kept. */
  table(rows: readonly Row[]): MetadataEntry {
    return { type: 'table', value: rows.slice(0, MAX_TABLE_ROWS) };
  },
  /**
   * A moment.
   * @throws RangeError where it is none
   */
  timestamp(at: Date | string | number): MetadataEntry {
    const date = new Date(at);
    if (Number.isNaN(date.getTime())) throw new RangeError(`${String(at)} is not a time`);
    return { type: 'timestamp', value: date.toISOString() };
  },
} as const;
