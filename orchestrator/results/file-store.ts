/**
 * Content in a directory: `RUN/NAME`. It is written beside its place, synced and renamed, so that a name always
 * stands for whole content. Several servers or agents may share the directory over a file system of theirs.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { type BlobRequest, isResultKey } from '../../domain/result.ts';
import { BlobError, type BlobStore, type StoredBlob } from './blob-store.ts';

/** What is being written; it is listed like the rest, so that what a crash leaves here goes as well. */
const UNFINISHED = 'unfinished';
const RUNS_A_PAGE = 200;
const RENAME_TRIES = 3;

/** @param folder absolute */
export function fileStore(folder: string): BlobStore {
  const pathOf = (key: string) => {
    if (!isResultKey(key)) throw new BlobError(`${JSON.stringify(key.slice(0, 200))} is no key`);
    return join(folder, key);
  };
  return {
    name: 'file',
    async put(blob, content) {
      const path = pathOf(blob.key);
      const temporary = join(folder, UNFINISHED, randomUUID());
      await mkdir(dirname(temporary), { recursive: true });
      try {
        await write(temporary, blob, content);
        await moveTo(temporary, path);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
    async get(key) {
      return openFile(pathOf(key), key);
    },
    async list(after) {
      const all = (await names(folder)).filter((name) => name > after).sort();
      const page = all.slice(0, RUNS_A_PAGE);
      const blobs: StoredBlob[] = [];
      for (const run of page) blobs.push(...(await listRun(folder, run)));
      return { blobs, next: all.length > page.length ? (page.at(-1) ?? null) : null };
    },
    async delete(key) {
      const path = pathOf(key);
      await rm(path, { force: true });
      // The folder of a run goes with the last that was in it.
      await rmdir(dirname(path)).catch(() => undefined);
    },
  };
}

async function write(
  path: string,
  { key, bytes, sha256 }: BlobRequest,
  content: AsyncIterable<Uint8Array>,
): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    const hash = createHash('sha256');
    let written = 0;
    for await (const chunk of content) {
      written += chunk.byteLength;
      if (written > bytes) break;
      hash.update(chunk);
      await writeAll(file, chunk);
    }
    if (written !== bytes) {
      throw new BlobError(
        `the content of ${key} is not as long as it was said to be: ${bytes} bytes`,
      );
    }
    if (hash.digest('hex') !== sha256) {
      throw new BlobError(`the content of ${key} changed on its way: its hash is another`);
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.byteLength; ) {
    const { bytesWritten } = await file.write(chunk, at, chunk.byteLength - at);
    at += bytesWritten;
  }
}

/** The folder may be taken away by a sweep between its making and the renaming. */
async function moveTo(temporary: string, path: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    await mkdir(dirname(path), { recursive: true });
    try {
      await rename(temporary, path);
      break;
    } catch (error) {
      if (tries === RENAME_TRIES || codeOf(error) !== 'ENOENT') throw error;
    }
  }
  // Without this a power cut may take the new name away again.
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function openFile(path: string, key: string): Promise<Readable> {
  const file = await open(path, 'r').catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error;
    throw new BlobError(
      `the result store has no ${key}: was it taken away, or is it another store?`,
    );
  });
  return createReadStream('', { fd: file });
}

async function names(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return [];
    throw error;
  });
}

async function listRun(folder: string, run: string): Promise<StoredBlob[]> {
  const found = await names(join(folder, run));
  const blobs = await Promise.all(
    found.map(async (name) => {
      const file = await stat(join(folder, run, name)).catch(() => null);
      return file?.isFile() ? [{ key: `${run}/${name}`, modifiedAt: file.mtimeMs }] : [];
    }),
  );
  return blobs.flat();
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
