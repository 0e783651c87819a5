/**
 * Content in a bucket of an S3-compatible store, addressed by path. A PUT is atomic there; its body is signed with its
 * hash, which the store checks.
 */
import type { Readable } from 'node:stream';
import { AwsV4Signer } from 'aws4fetch';
import { Agent, type Dispatcher, request } from 'undici';
import { BlobError, type BlobStore } from './blob-store.ts';

export interface S3Options {
  /** `https://host:port`, without a path. */
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  /** Without slashes at its ends; empty for none. */
  readonly prefix: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

const CONNECTIONS = 16;
const SILENCE_LIMIT_MS = 60_000;
const KEYS_A_PAGE = 1_000;
const MAX_TOLD = 300;

interface Call {
  readonly method: 'GET' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Readable;
}

export function s3Store(options: S3Options): BlobStore {
  const { bucket, prefix } = options;
  const call = caller(options);
  const full = (key: string) => `${prefix === '' ? '' : `${prefix}/`}${key}`;
  const pathOf = (key: string) => `/${bucket}/${full(key)}`;
  return {
    name: `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}`,
    async put({ key, bytes, sha256 }, content) {
      const headers = { 'x-amz-content-sha256': sha256, 'content-length': String(bytes) };
      const answer = await call({
        ...{ method: 'PUT', path: pathOf(key), headers, body: content as Readable },
      });
      await discard(answer, `PUT ${key}`);
    },
    async get(key) {
      const answer = await call({ method: 'GET', path: pathOf(key) });
      if (answer.statusCode === 200) return answer.body;
      await answer.body.dump();
      if (answer.statusCode !== 404) throw new Error(`GET ${key}: status ${answer.statusCode}`);
      throw new BlobError(`the result store has no ${key}: was it taken away?`);
    },
    async list(after) {
      const query = {
        'list-type': '2',
        prefix: full(''),
        'max-keys': String(KEYS_A_PAGE),
        ...(after === '' ? {} : { 'start-after': full(after) }),
      };
      const answer = await call({ method: 'GET', path: `/${bucket}`, query });
      const text = await answer.body.text();
      if (answer.statusCode !== 200) throw refused(answer.statusCode, text, 'a list');
      return readPage(text, full('').length);
    },
    async delete(key) {
      await discard(await call({ method: 'DELETE', path: pathOf(key) }), `DELETE ${key}`);
    },
  };
}

function caller(options: S3Options): (call: Call) => Promise<Dispatcher.ResponseData> {
  const dispatcher = new Agent({ connections: CONNECTIONS });
  return async ({ method, path, query = {}, headers = {}, body }) => {
    const url = new URL(path, options.endpoint);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const signed = await new AwsV4Signer({
      ...{ method, url: url.href, service: 's3', region: options.region, headers },
      ...{ accessKeyId: options.accessKeyId, secretAccessKey: options.secretAccessKey },
      ...(options.sessionToken === undefined ? {} : { sessionToken: options.sessionToken }),
    }).sign();
    return request(signed.url, {
      ...{ dispatcher, method },
      headers: { ...Object.fromEntries(signed.headers), ...headers },
      ...{ headersTimeout: SILENCE_LIMIT_MS, bodyTimeout: SILENCE_LIMIT_MS },
      ...(body === undefined ? {} : { body }),
    });
  };
}

async function discard(answer: Dispatcher.ResponseData, what: string): Promise<void> {
  const text = await answer.body.text();
  if (answer.statusCode < 200 || answer.statusCode > 299)
    throw refused(answer.statusCode, text, what);
}

function refused(status: number, text: string, what: string): Error {
  const told = /<Code>([^<]*)<\/Code>/.exec(text)?.[1] ?? text.slice(0, MAX_TOLD);
  const error = `the result store refused ${what}: status ${status} ${told}`;
  return status >= 500 || status === 429 ? new Error(error) : new BlobError(error);
}

/** Keys are made here, of letters that XML has nothing to escape in. */
function readPage(xml: string, skip: number): Awaited<ReturnType<BlobStore['list']>> {
  const blobs = [...xml.matchAll(/<Contents>(.*?)<\/Contents>/gs)].flatMap(([, entry = '']) => {
    const key = /<Key>([^<]*)<\/Key>/.exec(entry)?.[1];
    const at = Date.parse(/<LastModified>([^<]*)<\/LastModified>/.exec(entry)?.[1] ?? '');
    return key === undefined || Number.isNaN(at) ? [] : [{ key: key.slice(skip), modifiedAt: at }];
  });
  const more = /<IsTruncated>true<\/IsTruncated>/.test(xml);
  return { blobs, next: more ? (blobs.at(-1)?.key ?? null) : null };
}
