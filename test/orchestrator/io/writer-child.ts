/**
 * Writes a version in a process of its own: `node writer-child.ts ORDER`, where the order is JSON. Prints `hanging`
 * where it stops in the middle, and what it wrote, and the memory that took, where it ends.
 */
import type { IoManager, Row } from '../../../orchestrator/define/io.ts';
import {
  clickhouseTable,
  jsonFile,
  parquetFile,
  postgresTable,
} from '../../../orchestrator/index.ts';
import { stage } from './contexts.ts';

export interface WriteOrder {
  readonly kind: 'jsonFile' | 'parquetFile' | 'postgresTable' | 'clickhouseTable';
  readonly options: Readonly<Record<string, unknown>>;
  readonly versionId: string;
  readonly attempt: number;
  readonly rows: number;
  /** Where it stops for ever: after so many rows, or when all is staged. */
  readonly hangAt: number | 'staged' | null;
}

const MAKERS = { jsonFile, parquetFile, postgresTable, clickhouseTable };
const order = JSON.parse(process.argv[2] ?? '') as WriteOrder;
const make = MAKERS[order.kind] as unknown as (options: object) => IoManager;
let peakBytes = 0;

function hang(): Promise<never> {
  console.log('hanging');
  setInterval(() => undefined, 1_000);
  return new Promise(() => undefined);
}

async function* rows(): AsyncGenerator<Row> {
  for (let id = 0; id < order.rows; id += 1) {
    if (id === order.hangAt) await hang();
    if (id % 10_000 === 0) peakBytes = Math.max(peakBytes, process.memoryUsage().rss);
    yield { id, name: `name ${id}`, price: id / 4 };
  }
}

const { versionId, attempt } = order;
const staged = await stage(make(order.options), rows(), { versionId, attempt });
if (order.hangAt === 'staged') await hang();
await staged.publish();
console.log(`wrote ${JSON.stringify({ written: staged.written, peakBytes })}`);
