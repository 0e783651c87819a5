/**
 * Content on its way to or from the result store lies in a file of this machine's, so that a worker process hands its
 * agent a path over their channel and not a gigabyte, and the agent sends it from the disk.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlobRequest } from '../../../domain/result.ts';

const FOLDER = join(tmpdir(), `signalbox-content-${process.getuid?.() ?? 0}`);
/** What a process that died left is taken away after this time. */
const LEFT_MS = 86_400_000;
let swept = false;

/** A new path for content. */
export async function contentPath(): Promise<string> {
  await mkdir(FOLDER, { recursive: true, mode: 0o700 });
  if (!swept) {
    swept = true;
    await sweep().catch(() => undefined);
  }
  return join(FOLDER, randomUUID());
}

async function sweep(): Promise<void> {
  const now = performance.timeOrigin + performance.now();
  for (const name of await readdir(FOLDER)) {
    const path = join(FOLDER, name);
    const { mtimeMs } = await stat(path);
    if (now - mtimeMs > LEFT_MS) await rm(path, { force: true });
  }
}

/** Writes content for `send`, and takes the file away when that is over. */
export async function withContent<T>(
  content: Uint8Array | string,
  send: (path: string, size: Pick<BlobRequest, 'bytes' | 'sha256'>) => Promise<T>,
): Promise<T> {
  const path = await contentPath();
  const bytes = typeof content === 'string' ? Buffer.byteLength(content) : content.byteLength;
  const sha256 = createHash('sha256').update(content).digest('hex');
  try {
    await writeFile(path, content, { mode: 0o600 });
    return await send(path, { bytes, sha256 });
  } finally {
    await rm(path, { force: true });
  }
}

/** Content that was brought here. The file goes. */
export async function takeContent(path: string): Promise<{ content: Buffer; sha256: string }> {
  try {
    const content = await readFile(path);
    return { content, sha256: createHash('sha256').update(content).digest('hex') };
  } finally {
    await rm(path, { force: true });
  }
}
