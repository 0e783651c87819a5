/**
 * Rows that ClickHouse refuses for what is in them. One bad row must neither hold up those behind it for ever nor
 * take those beside it along: it is found by halving, told, counted, and kept in a file for a person to look at.
 */
import { mkdirSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, RefusedDataError } from './connection.ts';

const MAX_BYTES = 64 * 1024 * 1024;
const MAX_REASON = 500;

/** Sends lines of JSON; those that are refused for their content go to `setAside`, one by one. */
export async function sendSettingAside(
  lines: readonly string[],
  send: (body: Buffer) => Promise<void>,
  setAside: (line: string, error: RefusedDataError) => Promise<void>,
): Promise<void> {
  try {
    return await send(Buffer.from(lines.join('')));
  } catch (error) {
    // Where the table itself is another one, no row would be taken, and none is at fault.
    if (!(error instanceof RefusedDataError) || error.isOfTable) throw error;
    const [only] = lines;
    if (lines.length === 1 && only !== undefined) return await setAside(only, error);
  }
  const middle = Math.ceil(lines.length / 2);
  await sendSettingAside(lines.slice(0, middle), send, setAside);
  await sendSettingAside(lines.slice(middle), send, setAside);
}

/** The file of refused rows; a row may be in it twice where a process died right after it was written. */
export class RefusedRows {
  private readonly directory: string;
  private readonly path: string;
  private readonly log: (message: string) => void;
  private readonly maxBytes: number;
  private count = 0;

  constructor(spoolDir: string, log: (message: string) => void, maxBytes = MAX_BYTES) {
    this.directory = spoolDir;
    this.path = join(spoolDir, 'refused-rows.jsonl');
    this.log = log;
    this.maxBytes = maxBytes;
  }

  /**
   * Keeps one row; it is durable once this resolves.
   * @throws Error where the file has reached its limit: then somebody must look before more is set aside
   */
  async keep(table: string, line: string, error: Error): Promise<void> {
    const bytes = await stat(this.path).then(
      ({ size }) => size,
      () => 0,
    );
    if (bytes + line.length > this.maxBytes) {
      throw new Error(`${this.path} is full of refused rows: look at them and remove the file`);
    }
    const reason = messageOf(error).slice(0, MAX_REASON);
    mkdirSync(this.directory, { recursive: true });
    const file = await open(this.path, 'a', 0o600);
    try {
      await file.write(`${JSON.stringify({ table, reason, row: line.trimEnd() })}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    this.count += 1;
    this.log(`a row of ${table} was set aside in ${this.path} (${this.count} so far)`);
  }
}
