/** A million rows go through each IO manager in bounded memory: the writers have small heaps, and gather nothing. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Row } from '../../../orchestrator/define/io.ts';
import { KINDS, type Stores, startStores, startWriter } from './stores.ts';

const ROWS = 1_000_000;
const HEAP_MB = 160;
const PEAK_MB = 700;

let stores: Stores;

beforeAll(async () => {
  stores = await startStores();
});
afterAll(() => stores[Symbol.asyncDispose]());

it.each(KINDS)(
  '%s writes and reads a million rows in bounded memory',
  async (kind) => {
    const writer = startWriter(
      {
        ...{ kind, options: stores.options(kind, 'million'), versionId: 'v1', attempt: 1 },
        ...{ rows: ROWS, hangAt: null },
      },
      HEAP_MB,
    );
    const line = await writer.waitForLine(/^wrote /, 110_000);
    const { written, peakBytes } = JSON.parse(line.slice('wrote '.length)) as {
      written: { rows: number; location: Record<string, unknown>; schema?: [] };
      peakBytes: number;
    };
    expect(written.rows).toBe(ROWS);
    expect(peakBytes / 1024 / 1024).toBeLessThan(PEAK_MB);
    const value: unknown = await stores.manager(kind, 'million').read({
      ...{ assetKey: 'shop/orders', partitionKey: undefined, location: written.location },
      ...{ schema: written.schema ?? null, stream: true, signal: new AbortController().signal },
    });
    let sum = 0;
    let rows = 0;
    for await (const row of value as AsyncIterable<Row>) {
      rows += 1;
      sum += Number(row['id']);
    }
    expect([rows, sum]).toEqual([ROWS, (ROWS * (ROWS - 1)) / 2]);
  },
  120_000,
);
