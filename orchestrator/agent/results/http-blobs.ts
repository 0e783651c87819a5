/** Content on its way through the server: streamed from and to files, with no more in memory than a chunk. */
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Dispatcher } from 'undici';
import { SignalboxError } from '../../../domain/errors.ts';
import type { BlobRequest, ResultReference } from '../../../domain/result.ts';
import { answerOf } from '../http-calls.ts';
import { httpClient } from '../http-client.ts';
import { ConnectionLost } from '../transport.ts';

const CONNECTIONS = 8;
const SILENCE_LIMIT_MS = 60_000;

/** @param base address of the agent protocol */
export function httpBlobs(base: string, token: string) {
  const client = httpClient({ connections: CONNECTIONS });
  const call = async (
    path: string,
    options: Pick<Dispatcher.RequestOptions, 'method' | 'body'> & { headers?: object },
  ) => {
    const headers = { authorization: `Bearer ${token}`, ...options.headers };
    const limits = { headersTimeout: SILENCE_LIMIT_MS, bodyTimeout: SILENCE_LIMIT_MS };
    return client.request(`${base}${path}`, { ...options, ...limits, headers });
  };
  const place = (sessionId: string, key: string) =>
    `/${encodeURIComponent(sessionId)}/blobs/${key.split('/').map(encodeURIComponent).join('/')}`;
  return {
    putBlob: (sessionId: string, { key, bytes, sha256 }: BlobRequest, path: string) =>
      lost(`PUT ${key}`, async () => {
        const answer = await call(`${place(sessionId, key)}?sha256=${sha256}`, {
          method: 'PUT',
          headers: {
            'content-type': 'application/octet-stream',
            'content-length': String(bytes),
          },
          body: createReadStream(path),
        });
        const text = await answer.body.text();
        return answerOf<{ store: string }>(`PUT ${key}`, answer.statusCode, text).store;
      }),
    getBlob: (
      sessionId: string,
      { store, key }: Pick<ResultReference, 'store' | 'key'>,
      path: string,
    ) =>
      lost(`GET ${key}`, async () => {
        const from = `${place(sessionId, key)}?store=${encodeURIComponent(store)}`;
        const answer = await call(from, { method: 'GET' });
        if (answer.statusCode === 200) {
          await pipeline(answer.body, createWriteStream(path, { mode: 0o600 }));
        } else answerOf(`GET ${key}`, answer.statusCode, await answer.body.text());
      }),
    close: () => client.destroy(),
  };
}

async function lost<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SignalboxError || error instanceof ConnectionLost) throw error;
    throw new ConnectionLost(`${what}: ${error instanceof Error ? error.message : error}`, error);
  }
}
