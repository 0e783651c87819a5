/**
 * Makes a folder with those above it, and says why it cannot be. Each level is made by itself: `mkdir` of Node
 * with `recursive` goes round for ever where a file system such as `/proc` answers ENOENT although the folder
 * above is there.
 */
import { access, constants, mkdir, stat, statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** What a new instance needs at once: two empty databases and their first logs. */
const MIN_FREE_BYTES = 256 * 1024 * 1024;
const MEGABYTE = 1024 * 1024;

/** A folder that cannot be used, with why and what to do. */
class FolderError extends Error {
  override readonly name = 'FolderError';

  constructor(directory: string, why: string) {
    super(`${directory} cannot hold the data: ${why}; choose another with --data-dir`);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space is left on the device',
  EDQUOT: 'the quota of the disk is used up',
  ENOENT: 'the file system takes no folders there',
  ENOTDIR: 'a part of the path is a file, not a folder',
  ENAMETOOLONG: 'its name is too long',
  ELOOP: 'its links lead in a circle',
};

/**
 * @throws FolderError where the folder cannot be made or written to, within a moment
 */
export async function makeFolder(directory: string): Promise<void> {
  const path = resolve(directory);
  try {
    await makeWithParents(path);
    // A file system that is read-only says so only here, where the folder was there before.
    await access(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw error instanceof FolderError ? error : folderError(path, error);
  }
}

/** @throws FolderError where too little is free for a new instance */
export async function checkSpace(directory: string): Promise<void> {
  const { bavail, blocks, bsize } = await statfs(directory);
  // Some file systems tell no size at all.
  if (blocks === 0 || bavail * bsize >= MIN_FREE_BYTES) return;
  const free = Math.floor((bavail * bsize) / MEGABYTE);
  throw new FolderError(
    directory,
    `${free} MB are free there, and a new instance needs ${MIN_FREE_BYTES / MEGABYTE} MB`,
  );
}

/** @returns the error in words for a person */
export function folderError(directory: string, error: unknown): Error {
  const { code = '', message = String(error) } = error as NodeJS.ErrnoException;
  return new FolderError(directory, REASONS[code] ?? message);
}

async function makeWithParents(path: string): Promise<void> {
  const missing: string[] = [];
  for (let above = path; ; above = dirname(above)) {
    const found = await stat(above).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (found?.isDirectory()) break;
    if (found) throw new FolderError(path, `${above} is a file, not a folder`);
    missing.unshift(above);
    if (above === dirname(above)) break;
  }
  for (const folder of missing) {
    await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
      // Somebody else may make the same folder at the same moment; a link that leads nowhere stays one.
      if (error.code !== 'EEXIST') throw error;
    });
  }
}
