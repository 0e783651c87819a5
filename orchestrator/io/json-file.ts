/** Values as JSON files: one document, or a line for each row where the rows come as a stream. */
import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import {
  type IoManager,
  isStream,
  type ReadContext,
  type Row,
  type WriteContext,
} from '../define/io.ts';
import { inDefinition, readOptions } from '../define/options.ts';
import { LOOKED_AT } from './batches.ts';
import { schemaOf } from './columns.ts';
import { directoryIn } from './environment.ts';
import { directory, type FileOptions, fileReaders, locationPath } from './file-options.ts';
import { type StagedAsFile, stagerOfFiles } from './staged-files.ts';
import { stageFile } from './versioned-files.ts';

const BUFFERED_BYTES = 256 * 1024;

/**
 * Keeps each version as a JSON file below `directory`, in a folder named by the asset's key. An async iterable of
 * rows is written as lines (`.ndjson`) and read as a stream. `directory` must be one that all agents of the asset see.
 */
export function jsonFile(options: FileOptions): IoManager {
  return inDefinition('jsonFile', () => {
    const { directory: folder, keep } = readOptions(options, { ...fileReaders, directory });
    return {
      kind: 'json-file',
      ...stagerOfFiles(folder, (context, value) => stage({ folder, keep }, context, value)),
      read: (context: ReadContext) => read(folder, context),
      inEnvironment: (name) => jsonFile({ keep, directory: directoryIn(folder, name) }),
    };
  });
}

async function stage(
  to: { folder: string; keep: number },
  context: WriteContext,
  value: unknown,
): Promise<StagedAsFile> {
  const lines = isStream(value);
  const { assetKey, partitionKey, versionId } = context;
  const version = {
    ...{ directory: to.folder, keep: to.keep, assetKey, partitionKey, versionId },
    extension: lines ? 'ndjson' : 'json',
  };
  const file = await stageFile(version, randomUUID());
  try {
    const rows = lines ? await writeLines(file.draft, value, context.signal) : null;
    if (!lines) await writeFile(file.draft, documentOf(value));
    const sizeBytes = (await stat(file.draft)).size;
    const counted = rows ?? (Array.isArray(value) ? value.length : null);
    const schema = schemaOf(value, LOOKED_AT);
    return {
      written: {
        ...{ location: { path: file.path }, sizeBytes },
        ...(counted === null ? {} : { rows: counted }),
        ...(schema === null ? {} : { schema }),
      },
      read: () => (lines ? linesOf(file.draft) : readFile(file.draft, 'utf8').then(parse)),
      file,
    };
  } catch (error) {
    await file.discard();
    throw error;
  }
}

function documentOf(value: unknown): string {
  const json = JSON.stringify(value ?? null);
  if (json === undefined) throw new TypeError(`jsonFile keeps JSON, and this is a ${typeof value}`);
  return json;
}

async function writeLines(
  path: string,
  rows: AsyncIterable<Row>,
  signal: AbortSignal,
): Promise<number> {
  let count = 0;
  async function* chunks() {
    let text = '';
    for await (const row of rows) {
      text += `${documentOf(row)}\n`;
      count += 1;
      if (text.length < BUFFERED_BYTES) continue;
      yield text;
      text = '';
    }
    if (text !== '') yield text;
  }
  await pipeline(chunks, createWriteStream(path), { signal });
  return count;
}

async function read(folder: string, context: ReadContext): Promise<unknown> {
  const path = await locationPath(folder, context);
  return context.stream ? linesOf(path) : parse(await readFile(path, 'utf8'));
}

function parse(text: string): unknown {
  return JSON.parse(text);
}

function linesOf(path: string): AsyncIterable<Row> {
  return {
    async *[Symbol.asyncIterator]() {
      const input = createReadStream(path);
      try {
        for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
          if (line !== '') yield JSON.parse(line) as Row;
        }
      } finally {
        input.destroy();
      }
    },
  };
}
