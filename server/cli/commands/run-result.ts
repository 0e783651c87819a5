/** `signalbox runs result` */
import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import type { Command } from 'commander';
import { UsageError } from '../exit.ts';
import { remoteCommand, segment } from '../remote.ts';

interface Options {
  readonly out?: string;
}

export function resultCommand(): Command {
  return remoteCommand<Options>(
    'result <run> <task>',
    'Result of a task, or of a step of a flow: printed, or stored in a file',
    async ({ api, options, print }, run = '', task = '') => {
      const path = `/runs/${segment(run)}/tasks/${segment(task)}/result`;
      const response = await api.download(path);
      const { out } = options;
      if (out !== undefined) {
        const { bytes, sha256 } = await store(response, out);
        print({ file: out, bytes, sha256 }, () => `${bytes} bytes of ${task} are in ${out}.`);
        return;
      }
      if (process.stdout.isTTY && !isJson(response)) {
        await response.body?.cancel();
        throw new UsageError(`the result of ${task} is no text: name a file with --out FILE`);
      }
      await pipeline(contentOf(response), process.stdout, { end: false });
      if (process.stdout.isTTY) process.stdout.write('\n');
    },
  ).option('--out <file>', 'file that it is stored in');
}

function isJson(response: Response): boolean {
  return response.headers.get('content-type')?.startsWith('application/json') ?? false;
}

function contentOf({ body }: Response): Readable {
  return body === null ? Readable.from([]) : Readable.fromWeb(body as ReadableStream);
}

/** Stores all of it or nothing: what is cut off, or is not what the server told, leaves the file as it was. */
async function store(
  response: Response,
  file: string,
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      hash.update(chunk);
      done(null, chunk);
    },
  });
  const partial = `${file}.${randomUUID().slice(0, 8)}.partial`;
  try {
    await pipeline(contentOf(response), count, createWriteStream(partial, { flags: 'wx' }));
    const sha256 = hash.digest('hex');
    const told = /sha-256=:([^:]+):/.exec(response.headers.get('repr-digest') ?? '')?.[1];
    if (told !== undefined && Buffer.from(told, 'base64').toString('hex') !== sha256) {
      throw new Error('the content is not what the server told: ask again');
    }
    await rename(partial, file);
    return { bytes, sha256 };
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}
