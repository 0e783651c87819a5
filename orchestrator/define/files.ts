/** Finds workflow files. */
import { readdir, stat } from 'node:fs/promises';
import { basename, join, relative, resolve, sep } from 'node:path';

/** A file, and how it is named to people: the folder's name and the path in it. */
export interface WorkflowFile {
  readonly path: string;
  readonly shown: string;
}

const CODE = /\.(ts|mts|js|mjs)$/;
const NOT_CODE = /\.d\.m?ts$|\.(test|spec|config)\.m?[jt]s$/;
const SKIPPED = new Set(['node_modules']);

/**
 * All workflow files under the folders, in order of their paths; a file may be named as well.
 * @throws Error where a folder cannot be read
 */
export async function findFiles(folders: readonly string[]): Promise<WorkflowFile[]> {
  const found = await Promise.all(folders.map((folder) => filesIn(resolve(folder))));
  const byPath = new Map(found.flat().map((file) => [file.path, file]));
  return [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function filesIn(root: string): Promise<WorkflowFile[]> {
  const files: WorkflowFile[] = [];
  if ((await stat(root)).isFile()) return [{ path: root, shown: basename(root) }];
  const open = [root];
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.name.startsWith('.') || SKIPPED.has(entry.name)) continue;
      const kind = entry.isSymbolicLink() ? await stat(path).catch(() => entry) : entry;
      if (kind.isDirectory() && !entry.isSymbolicLink()) open.push(path);
      if (kind.isFile() && CODE.test(entry.name) && !NOT_CODE.test(entry.name)) {
        files.push({ path, shown: shown(root, path) });
      }
    }
  }
  return files;
}

function shown(root: string, path: string): string {
  return [basename(root), ...relative(root, path).split(sep)].join('/');
}
