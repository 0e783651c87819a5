/**
 * Rows on their way in. A body goes to a file of its own, and the engine reads that file: text and
 * binary formats alike, in parallel, without a copy in memory. The files lie in a directory that only
 * this user can enter, under names that nobody can guess, and are gone when the insert has ended.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { open, unlink } from 'node:fs/promises';
import { exception } from './exceptions.ts';

/** Relative to the data directory, which is the process's working directory. */
const DIRECTORY = 'incoming';

/** Bytes that one INSERT may carry, after decompression. */
const MAX_INSERT_BYTES = 2 * 1024 ** 3;

/** Removes what a killed process left behind. */
export function emptyIncoming(): void {
  rmSync(DIRECTORY, { recursive: true, force: true });
  mkdirSync(DIRECTORY, { mode: 0o700 });
}

/** Rows in a file, until `remove()`. */
export interface IncomingRows {
  readonly path: string;
  readonly sizeBytes: number;
  remove(): Promise<void>;
}

/**
 * Writes the rows to a file, as fast as they come and the disk takes them.
 * @throws ClickHouseException when there are too many bytes, or no room on the disk
 */
export async function keepRows(chunks: AsyncIterable<Uint8Array>): Promise<IncomingRows> {
  const path = `${DIRECTORY}/${randomBytes(24).toString('hex')}`;
  const remove = () => unlink(path).catch(() => undefined);
  let sizeBytes = 0;
  const file = await open(path, 'wx', 0o600).catch(refuse);
  try {
    for await (const chunk of chunks) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > MAX_INSERT_BYTES) {
        throw exception(
          'QUERY_IS_TOO_LARGE',
          `The rows of one INSERT may have ${MAX_INSERT_BYTES} bytes: send them in several.`,
        );
      }
      await file.write(chunk);
    }
  } catch (error) {
    await file.close();
    await remove();
    return refuse(error);
  }
  await file.close();
  return { path, sizeBytes, remove };
}

function refuse(error: unknown): never {
  if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') {
    throw exception('NOT_ENOUGH_SPACE', 'Cannot take the rows: no space left on the disk.');
  }
  throw error;
}
