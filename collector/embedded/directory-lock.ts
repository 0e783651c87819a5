/**
 * One process for one data directory. The lock is SQLite's on a file in the directory: the operating
 * system holds it for the process and gives it back when the process dies, however it dies.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Held until `release()` or the end of the process. */
export interface DirectoryLock {
  release(): void;
}

/**
 * Takes the directory, which is made when it is missing.
 * @throws Error when another process holds it, or it cannot be written
 */
export function lockDirectory(directory: string): DirectoryLock {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, 'signalbox.lock');
  const database = new DatabaseSync(file);
  try {
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (!isLocked(error)) throw error;
    throw new Error(
      `the data directory ${directory} is in use by another embedded ClickHouse: stop that process, or give another --data-dir`,
    );
  }
  return { release: () => database.close() };
}

const SQLITE_BUSY = 5;

function isLocked(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
}
