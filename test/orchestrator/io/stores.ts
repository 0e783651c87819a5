/** A place for each kind of IO manager, with the real store behind it, and writers that are processes. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { IoManager } from '../../../orchestrator/define/io.ts';
import {
  clickhouseTable,
  jsonFile,
  parquetFile,
  postgresTable,
} from '../../../orchestrator/index.ts';
import { startProcess, type TestProcess } from '../../support/child-process.ts';
import { startTestClickHouse } from '../../support/clickhouse.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import { makeTempDir } from '../../support/temp-dir.ts';
import type { WriteOrder } from './writer-child.ts';

export const KINDS = ['jsonFile', 'parquetFile', 'postgresTable', 'clickhouseTable'] as const;
export type Kind = (typeof KINDS)[number];

export interface Stores extends AsyncDisposable {
  readonly postgresUrl: string;
  readonly clickhouseUrl: string;
  readonly folder: string;
  options(kind: Kind, name: string): Readonly<Record<string, unknown>>;
  manager(kind: Kind, name: string): IoManager;
}

export async function startStores(): Promise<Stores> {
  const postgres = await startTestPostgres();
  const clickhouse = await startTestClickHouse();
  const folder = await makeTempDir('io');
  const { username, password } = clickhouse.writer;
  const clickhouseUrl = clickhouse.url.replace('//', `//${username}:${password}@`);
  const options = (kind: Kind, name: string) => {
    if (kind === 'postgresTable') return { connection: postgres.url, table: name };
    if (kind === 'clickhouseTable') return { url: clickhouseUrl, table: name, orderBy: ['id'] };
    return { directory: join(folder.path, name) };
  };
  return {
    ...{ postgresUrl: postgres.url, clickhouseUrl, folder: folder.path, options },
    manager(kind, name) {
      const makers = { jsonFile, parquetFile, postgresTable, clickhouseTable };
      return (makers[kind] as unknown as (given: object) => IoManager)(options(kind, name));
    },
    async [Symbol.asyncDispose]() {
      await clickhouse.stop();
      await postgres.stop();
      await folder.remove();
    },
  };
}

export const WRITER = fileURLToPath(new URL('./writer-child.ts', import.meta.url));

/** @param heapMb ceiling of its heap; code that gathers rows dies of it */
export function startWriter(order: WriteOrder, heapMb = 512): TestProcess {
  const flags = [`--max-old-space-size=${heapMb}`, WRITER, JSON.stringify(order)];
  return startProcess(process.execPath, flags);
}
