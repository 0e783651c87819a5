/**
 * Versions of an asset as files: each is written beside the others under a name that says it is not whole, made
 * durable, and renamed; then a pointer is replaced in the same way. So there is no moment in which a reader finds
 * half a version, whatever dies. Readers within Signalbox open the version that is recorded, whoever else reads
 * follows `current.json`. Several partitions of one run are published by one file that names them all; the pointers
 * follow, and a process that dies in between leaves them to the next one.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';

const POINTER = 'current.json';
const WRITING = '.writing-';
/** Names the files of a range from the moment in which they are published until all pointers name them. */
const PUBLISHING = '.publishing-';
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
  /** The folder of the version, seen from the asset's. */
  readonly folder: string;
  /** What the pointer says of it. */
  readonly named: Named;
  /** Puts it where it will be; whoever follows the pointer does not see it yet. */
  settle(): Promise<void>;
  /** Lets the pointer name it, and takes old versions away. */
  point(): Promise<void>;
  discard(): Promise<void>;
}

/** Opens a place for a version that nobody reads yet. */
export async function stageFile(version: FileVersion, random: string): Promise<StagedFile> {
  const folder = folderOf(version);
  await mkdir(folder, { recursive: true });
  const name = `${part(version.versionId)}.${version.extension}`;
  const draft = join(folder, `${WRITING}${random}-${name}`);
  const path = join(folder, name);
  const named = { version: version.versionId, file: name };
  await (await open(draft, 'w')).close();
  return {
    ...{ draft, path, folder: relative(assetFolder(version), folder), named },
    settle: () => replace(draft, path),
    async point() {
      await pointTo(folder, named, random);
      await sweep(folder, path, version);
    },
    discard: () => rm(draft, { force: true }),
  };
}

/** Makes these files the versions that are read. Of several, a reader who asks `currentFile` sees all of them or none. */
export async function publishFiles(
  of: Pick<FileVersion, 'directory' | 'assetKey'>,
  files: readonly StagedFile[],
  random: string,
): Promise<void> {
  for (const file of files) await file.settle();
  const whole = assetFolder(of);
  await finishPublishing(whole);
  if (files.length < 2) {
    for (const file of files) await file.point();
    return;
  }
  const note = join(whole, `${PUBLISHING}${random}.json`);
  const named = Object.fromEntries(files.map(({ folder, named: to }) => [folder, to]));
  await writeWhole(note, JSON.stringify(named), join(whole, `${WRITING}${random}-range`));
  // From here on it is published: where a pointer cannot be written now, the next writer does it.
  try {
    for (const file of files) await file.point();
    await rm(note, { force: true });
  } catch {}
}

/** Does to the end what a process that died in the middle has begun: its files are whole, and are those that are read. */
async function finishPublishing(whole: string): Promise<void> {
  for (const [name, files] of await notesIn(whole)) {
    for (const [folder, file] of Object.entries(files)) {
      await pointTo(join(whole, basename(folder)), file, randomUUID());
    }
    await rm(join(whole, name), { force: true });
  }
}

interface Named {
  readonly version: string;
  readonly file: string;
}

type Note = readonly [name: string, files: Readonly<Record<string, Named>>];

/** What is being published, by folder. */
async function notesIn(whole: string): Promise<Note[]> {
  const entries = await readdir(whole).catch(() => []);
  const notes: Note[] = [];
  for (const name of entries.filter((one) => one.startsWith(PUBLISHING)).sort()) {
    // Taken away meanwhile: then it is done.
    const text = await readFile(join(whole, name), 'utf8').catch(() => null);
    if (text !== null) notes.push([name, JSON.parse(text) as Note[1]]);
  }
  return notes;
}

async function pointTo(folder: string, to: Named, random: string): Promise<void> {
  const text = `${JSON.stringify({ version: to.version, file: basename(to.file) })}\n`;
  await writeWhole(join(folder, POINTER), text, join(folder, `${WRITING}${random}-${POINTER}`));
}

async function writeWhole(path: string, text: string, draft: string): Promise<void> {
  try {
    const handle = await open(draft, 'w');
    await handle.writeFile(text).finally(() => handle.close());
    await replace(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

/** The file that the pointer of an asset names, or a range that is being published. */
export async function currentFile(
  of: Pick<FileVersion, 'directory' | 'assetKey' | 'partitionKey'>,
): Promise<string> {
  const folder = folderOf(of);
  const whole = assetFolder(of);
  const [published] = (await notesIn(whole)).flatMap(
    ([, files]) => files[relative(whole, folder)] ?? [],
  );
  if (published !== undefined) return join(folder, basename(published.file));
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
  const whole = assetFolder(of);
  return of.partitionKey === undefined ? whole : join(whole, `partition=${part(of.partitionKey)}`);
}

function assetFolder(of: Pick<FileVersion, 'directory' | 'assetKey'>): string {
  return join(resolve(of.directory), ...of.assetKey.split('/').map(part));
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
