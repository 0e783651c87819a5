/** What the IO managers that keep files have in common. */
import { access } from 'node:fs/promises';
import type { ReadContext } from '../define/io.ts';
import { integer, text } from '../define/options.ts';
import { currentFile } from './versioned-files.ts';

export interface FileOptions {
  readonly directory: string;
  /** Versions that are kept beside the present one; 9 unless told. */
  readonly keep?: number;
}

const MAX_PATH = 2_000;
const KEPT = 9;

export const directory = text(MAX_PATH);
export const fileReaders = { keep: integer(1, 100_000, KEPT) };

/**
 * Where a recorded version is.
 * @throws Error that says what to do where it is gone
 */
export async function locationPath(folder: string, context: ReadContext): Promise<string> {
  const { path } = context.location;
  const found = typeof path === 'string' ? path : await current(folder, context);
  try {
    await access(found);
  } catch {
    throw new Error(
      `the file of ${context.assetKey} is not at ${found}: materialize it again, and let all agents see the same directory`,
    );
  }
  return found;
}

/** Of a version that nobody recorded: made by another program under the same rules. */
async function current(folder: string, { assetKey, partitionKey }: ReadContext): Promise<string> {
  try {
    return await currentFile({ directory: folder, assetKey, partitionKey });
  } catch (error) {
    throw new Error(`${assetKey} has no file below ${folder}`, { cause: error });
  }
}
