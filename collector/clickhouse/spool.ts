/**
 * Where the product's own samples wait while ClickHouse is away: one file for a batch, its deduplication token
 * in the name, so that a batch whose answer was lost is not counted twice when it is sent again. Bounded: over
 * the limit the oldest batch goes, since the newest samples are what decisions need.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Batch, messageOf, RefusedDataError } from './connection.ts';
import { sendSettingAside } from './refused.ts';

export interface SpoolOptions {
  readonly directory: string;
  readonly maxBytes: number;
  readonly retryEveryMs: number;
  send(batch: Batch): Promise<void>;
  log(message: string): void;
  /** Keeps a row that ClickHouse refuses for its content. */
  setAside(table: string, line: string, error: Error): Promise<void>;
}

interface SpooledFile {
  readonly name: string;
  readonly bytes: number;
}

/** `000000000042~signalbox.heartbeats~<token>.jsonl` */
const FILE_NAME = /^(\d{12})~([a-z_.]+)~([0-9a-f-]{36})\.jsonl$/;

/** The spool, with what an earlier process left in it. */
export class Spool {
  private readonly options: SpoolOptions;
  private readonly files: SpooledFile[];
  private sequence: number;
  private droppedBatches = 0;
  private timer: NodeJS.Timeout | undefined;
  private draining: Promise<void> | undefined;
  /** Bytes that wait on disk. */
  bytes: number;

  constructor(options: SpoolOptions) {
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    this.options = options;
    this.files = readSpooled(options.directory);
    this.bytes = this.files.reduce((sum, file) => sum + file.bytes, 0);
    this.sequence = Number(FILE_NAME.exec(this.files.at(-1)?.name ?? '')?.[1] ?? 0);
  }

  /** Keeps a batch of JSON lines on disk; it is durable once this resolves. */
  async keep(batch: Batch): Promise<void> {
    const { directory, maxBytes } = this.options;
    while (this.files.length > 0 && this.bytes + batch.body.length > maxBytes) {
      await this.dropOldest();
    }
    this.sequence += 1;
    const name = `${String(this.sequence).padStart(12, '0')}~${batch.table}~${batch.token}.jsonl`;
    await writeDurably(join(directory, name), batch.body);
    this.files.push({ name, bytes: batch.body.length });
    this.bytes += batch.body.length;
  }

  /** Tries again and again in the background to send what is kept. */
  start(): void {
    this.timer ??= setInterval(() => {
      if (this.files.length > 0) this.drain().catch(() => undefined);
    }, this.options.retryEveryMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    this.timer = undefined;
    await this.draining?.catch((error: unknown) => this.options.log(messageOf(error)));
  }

  private drain(): Promise<void> {
    this.draining ??= this.sendAll().finally(() => {
      this.draining = undefined;
    });
    return this.draining;
  }

  private async dropOldest(): Promise<void> {
    const oldest = this.files.shift();
    if (!oldest) return;
    this.bytes -= oldest.bytes;
    this.droppedBatches += 1;
    const count = this.droppedBatches;
    this.options.log(`the spool is full: the oldest batch was dropped (${count} so far)`);
    await rm(join(this.options.directory, oldest.name), { force: true });
  }

  /** One bad row does not take its neighbours along. The whole goes under its own token, a part under one of its own. */
  private async sendFile(table: string, token: string, body: Buffer): Promise<void> {
    const { send, setAside } = this.options;
    const lines = body.toString('utf8').split(/(?<=\n)/);
    await sendSettingAside(
      lines,
      (part) => {
        const isWhole = part.length === body.length;
        const ownToken = createHash('sha256').update(token).update(part).digest('hex');
        return send({
          ...{ table, format: 'JSONEachRow', body: part },
          token: isWhole ? token : ownToken,
        });
      },
      (line, error) => setAside(table, line, error),
    );
  }

  /** Sends what is kept, oldest first, until all is through or ClickHouse refuses. */
  private async sendAll(): Promise<void> {
    for (let file = this.files[0]; file; file = this.files[0]) {
      const [, , table = '', token = ''] = FILE_NAME.exec(file.name) ?? [];
      const path = join(this.options.directory, file.name);
      const body = await readFile(path);
      try {
        await this.sendFile(table, token, body);
      } catch (error) {
        if (!(error instanceof RefusedDataError)) throw error;
        this.options.log(`a spooled batch was dropped: ${error.message}`);
      }
      if (this.files[0] === file) {
        this.files.shift();
        this.bytes -= file.bytes;
      }
      await rm(path, { force: true });
    }
  }
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
