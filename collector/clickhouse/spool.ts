/**
 * Where the product's own samples wait while ClickHouse is away: one file for a batch, its deduplication token
 * in the name, so that a batch whose answer was lost is not counted twice when it is sent again. Bounded: over
 * the limit the oldest batch goes, since the newest samples are what decisions need.
 */
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Batch, messageOf, RefusedDataError } from './connection.ts';

export interface SpoolOptions {
  readonly directory: string;
  readonly maxBytes: number;
  readonly retryEveryMs: number;
  send(batch: Batch): Promise<void>;
  log(message: string): void;
}

interface SpooledFile {
  readonly name: string;
  readonly bytes: number;
}

/** `000000000042~signalbox.heartbeats~<token>.jsonl` */
const FILE_NAME = /^(\d{12})~([a-z_.]+)~([0-9a-f-]{36})\.jsonl$/;

export type Spool = ReturnType<typeof openSpool>;

/** Opens the spool and what an earlier process left in it. */
export function openSpool(options: SpoolOptions) {
  mkdirSync(options.directory, { recursive: true });
  const files = readSpooled(options.directory);
  let bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  let sequence = Number(FILE_NAME.exec(files.at(-1)?.name ?? '')?.[1] ?? 0);
  let droppedBatches = 0;
  let timer: NodeJS.Timeout | undefined;
  let draining: Promise<void> | undefined;

  /** Keeps a batch on disk; it is durable once this resolves. */
  async function keep(batch: Batch): Promise<void> {
    while (files.length > 0 && bytes + batch.body.length > options.maxBytes) await dropOldest();
    sequence += 1;
    const name = `${String(sequence).padStart(12, '0')}~${batch.table}~${batch.token}.jsonl`;
    await writeDurably(join(options.directory, name), batch.body);
    files.push({ name, bytes: batch.body.length });
    bytes += batch.body.length;
  }

  async function dropOldest(): Promise<void> {
    const oldest = files.shift();
    if (!oldest) return;
    bytes -= oldest.bytes;
    droppedBatches += 1;
    options.log(`the spool is full: the oldest batch was dropped (${droppedBatches} so far)`);
    await rm(join(options.directory, oldest.name), { force: true });
  }

  /** Sends what is kept, oldest first, until all is through or ClickHouse refuses. */
  async function sendAll(): Promise<void> {
    for (let file = files[0]; file; file = files[0]) {
      const match = FILE_NAME.exec(file.name);
      const path = join(options.directory, file.name);
      const batch = {
        table: match?.[2] ?? '',
        token: match?.[3] ?? '',
        body: await readFile(path),
      };
      try {
        await options.send(batch);
      } catch (error) {
        if (!(error instanceof RefusedDataError)) throw error;
        options.log(`a spooled batch was dropped: ${error.message}`);
      }
      if (files[0] === file) {
        files.shift();
        bytes -= file.bytes;
      }
      await rm(path, { force: true });
    }
  }

  function drain(): Promise<void> {
    draining ??= sendAll().finally(() => {
      draining = undefined;
    });
    return draining;
  }

  return {
    keep,
    drain,
    get bytes() {
      return bytes;
    },
    /** Tries again and again in the background. */
    start() {
      timer ??= setInterval(() => {
        if (files.length > 0) drain().catch(() => undefined);
      }, options.retryEveryMs);
    },
    async stop() {
      clearInterval(timer);
      timer = undefined;
      await draining?.catch((error: unknown) => options.log(messageOf(error)));
    },
  };
}

function readSpooled(directory: string): SpooledFile[] {
  const files: SpooledFile[] = [];
  for (const name of readdirSync(directory).sort()) {
    const path = join(directory, name);
    if (FILE_NAME.test(name)) files.push({ name, bytes: statSync(path).size });
    else if (name.endsWith('.partial')) rmSync(path, { force: true });
  }
  return files;
}

/** A file that is whole or absent, whatever happens to the machine. */
async function writeDurably(path: string, body: Buffer): Promise<void> {
  const partial = `${path}.partial`;
  const file = await open(partial, 'w');
  try {
    await file.writeFile(body);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(partial, path);
}
