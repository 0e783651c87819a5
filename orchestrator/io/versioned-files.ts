/**
 * Versions of an asset as files: each is written beside the others under a name that says it is not whole, made
 * durable, and renamed; then a pointer is replaced in the same way. So there is no moment in which a reader finds
 * half a version, whatever dies. Readers within Signalbox open the version that is recorded, whoever else reads
 * follows `current.json`.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

const POINTER = 'current.json';
const WRITING = '.writing-';
/** Unfinished versions of which nobody is heard any more. */
const ABANDONED_MS = 86_400_000;
const MAX_PART_BYTES = 150;
const HASH_LENGTH = 16;

export interface FileVersion {
  readonly directory: string;
  readonly assetKey: string;
  readonly partitionKey: string | undefined;
  readonly versionId: string;
  readonly extension: string;
  /** Versions that are kept beside the present one. */
  readonly keep: number;
}

export interface StagedFile {
  /** Where to write; it is there, and empty. */
  readonly draft: string;
  /** Where the version will be. */
  readonly path: string;
  publish(): Promise<void>;
  discard(): Promise<void>;
}

/** Opens a place for a version that nobody reads yet. */
export async function stageFile(version: FileVersion, random: string): Promise<StagedFile> {
  const folder = folderOf(version);
  await mkdir(folder, { recursive: true });
  const name = `${part(version.versionId)}.${version.extension}`;
  const draft = join(folder, `${WRITING}${random}-${name}`);
  const path = join(folder, name);
  await (await open(draft, 'w')).close();
  return {
    ...{ draft, path },
    async publish() {
      await replace(draft, path);
      const pointer = join(folder, `${WRITING}${random}-${POINTER}`);
      const handle = await open(pointer, 'w');
      await handle.writeFile(`${JSON.stringify({ version: version.versionId, file: name })}\n`);
      await handle.close();
      await replace(pointer, join(folder, POINTER));
      await sweep(folder, path, version);
    },
    discard: () => rm(draft, { force: true }),
  };
}

/** The file that the pointer of an asset names. */
export async function currentFile(
  of: Pick<FileVersion, 'directory' | 'assetKey' | 'partitionKey'>,
): Promise<string> {
  const folder = folderOf(of);
  const { file } = JSON.parse(await readFile(join(folder, POINTER), 'utf8')) as { file: string };
  return join(folder, basename(file));
}

/** Durable before it takes the place of another; a rename within a folder is one step. */
async function replace(from: string, to: string): Promise<void> {
  const handle = await open(from, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(from, to);
  const folder = await open(resolve(to, '..'), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Takes away old versions, and what writers that died have left. */
async function sweep(
  folder: string,
  path: string,
  { extension, keep }: FileVersion,
): Promise<void> {
  const now = (await stat(path)).mtimeMs;
  const entries = await readdir(folder, { withFileTypes: true });
  const files = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async ({ name }) => {
        const found = await stat(join(folder, name)).catch(() => null);
        return { name, at: found?.mtimeMs ?? now };
      }),
  );
  const abandoned = files.filter(
    ({ name, at }) => name.startsWith(WRITING) && at < now - ABANDONED_MS,
  );
  const versions = files
    .filter(({ name }) => name.endsWith(`.${extension}`) && !name.startsWith('.'))
    .filter(({ name }) => name !== basename(path) && name !== POINTER)
    .sort((a, b) => b.at - a.at);
  for (const { name } of [...abandoned, ...versions.slice(keep)]) {
    await rm(join(folder, name), { force: true });
  }
}

/** A folder for each part of the key, and one for the partition: no part can leave the directory. */
function folderOf(of: Pick<FileVersion, 'directory' | 'assetKey' | 'partitionKey'>): string {
  const parts = of.assetKey.split('/').map(part);
  if (of.partitionKey !== undefined) parts.push(`partition=${part(of.partitionKey)}`);
  return join(resolve(of.directory), ...parts);
}

/** A text as the name of a file: different texts give different names, and none is special. */
function part(text: string): string {
  const name = encodeURIComponent(text.toWellFormed())
    .replace(/[.!'()*]/g, (sign) =>
      sign === '.' && !text.startsWith('.') ? sign : `%${sign.charCodeAt(0).toString(16)}`,
    )
    .replace(/^$/, '%')
    .replace(/^current\.json$/, '%$&');
  if (name.length <= MAX_PART_BYTES) return name;
  const hash = createHash('sha256').update(text).digest('hex').slice(0, HASH_LENGTH);
  return `${name.slice(0, MAX_PART_BYTES - HASH_LENGTH)}%${hash}`;
}
