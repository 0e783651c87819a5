/** The result store that a URL names: `file:///folder`, or `s3://bucket/prefix?endpoint=…&region=…`. */
import { fileURLToPath } from 'node:url';
import type { BlobStore } from './blob-store.ts';
import { fileStore } from './file-store.ts';
import { s3Store } from './s3-store.ts';

/** Credentials of an S3-compatible store, by the names that its other tools read. */
export interface StoreCredentials {
  readonly accessKeyId: string | null;
  readonly secretAccessKey: string | null;
  readonly sessionToken: string | null;
}

const REGION = 'us-east-1';
const PREFIX = /^[\w./-]*$/;

/** @throws Error that says what is wrong with the URL, or which credential is missing */
export function openStore(text: string, credentials: StoreCredentials): BlobStore {
  const url = new URL(text);
  if (url.protocol === 'file:') return fileStore(fileURLToPath(url));
  if (url.protocol !== 's3:' || url.hostname === '') {
    throw new Error('a result store is file:///folder, or s3://bucket/prefix');
  }
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  if (accessKeyId === null || secretAccessKey === null) {
    throw new Error(`${url.host} needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY`);
  }
  const region = url.searchParams.get('region') ?? REGION;
  const prefix = url.pathname.replace(/^\/+|\/+$/g, '');
  if (!PREFIX.test(prefix)) throw new Error('a prefix has letters, digits and . _ - / only');
  return s3Store({
    ...{ region, prefix, accessKeyId, secretAccessKey, bucket: url.host },
    endpoint: url.searchParams.get('endpoint') ?? `https://s3.${region}.amazonaws.com`,
    ...(sessionToken === null ? {} : { sessionToken }),
  });
}
