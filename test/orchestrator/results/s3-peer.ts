/** A small S3 in this process. It verifies each signature by its own reading of the standard (SigV4), bodies included. */
import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface S3Peer {
  readonly url: string;
  readonly objects: Map<string, { body: Buffer; at: Date }>;
  readonly refused: string[];
  /** Keys that one list gives. */
  pageSize: number;
  /** Answers so many calls with 503. */
  failures: number;
  close(): Promise<void>;
}

export const KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfi' };

const sha256 = (text: string | Buffer) => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string) =>
  createHmac('sha256', key).update(text).digest();
const encode = (text: string) =>
  encodeURIComponent(text).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );

/** Why the request is not signed as it should be; null where it is. */
function fault(request: IncomingMessage, url: URL, body: Buffer, region: string): string | null {
  const given =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      request.headers.authorization ?? '',
    );
  if (!given) return 'no signature';
  const [, id = '', day = '', where = '', names = '', signature] = given;
  if (id !== KEYS.accessKeyId || where !== region) return 'another key or region';
  const at = String(request.headers['x-amz-date']);
  if (!at.startsWith(day)) return 'another day';
  const hash = String(request.headers['x-amz-content-sha256']);
  if (hash !== 'UNSIGNED-PAYLOAD' && hash !== sha256(body)) return 'XAmzContentSHA256Mismatch';
  if (request.method === 'PUT' && hash === 'UNSIGNED-PAYLOAD') return 'the body is not signed';
  const signed = names.split(';');
  if (!['host', 'x-amz-date', 'x-amz-content-sha256'].every((name) => signed.includes(name))) {
    return 'too little is signed';
  }
  const query = [...url.searchParams].map(([k, v]) => `${encode(k)}=${encode(v)}`).sort();
  const canonical = [
    request.method,
    decodeURIComponent(url.pathname).split('/').map(encode).join('/'),
    query.join('&'),
    ...signed.map((name) => `${name}:${String(request.headers[name]).trim()}`),
    '',
    names,
    hash,
  ].join('\n');
  const scope = `${day}/${region}/s3/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', at, scope, sha256(canonical)].join('\n');
  const key = hmac(
    hmac(hmac(hmac(`AWS4${KEYS.secretAccessKey}`, day), region), 's3'),
    'aws4_request',
  );
  return hmac(key, text).toString('hex') === signature ? null : 'SignatureDoesNotMatch';
}

export async function startS3Peer(region = 'eu-test-1'): Promise<S3Peer> {
  const peer = {
    url: '',
    objects: new Map<string, { body: Buffer; at: Date }>(),
    refused: [] as string[],
    pageSize: 2,
    failures: 0,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '', peer.url);
    const body = await buffer(request).catch(() => Buffer.alloc(0));
    const end = (status: number, content: string | Buffer = '') =>
      response.writeHead(status, { 'content-length': Buffer.byteLength(content) }).end(content);
    if (peer.failures > 0) {
      peer.failures -= 1;
      return end(503, '<Error><Code>SlowDown</Code></Error>');
    }
    const wrong = fault(request, url, body, region);
    if (wrong !== null) {
      peer.refused.push(wrong);
      return end(403, `<Error><Code>${wrong}</Code></Error>`);
    }
    const key = decodeURIComponent(url.pathname.slice(1));
    if (url.searchParams.has('list-type')) return end(200, list(peer, key, url.searchParams));
    if (request.method === 'PUT') {
      peer.objects.set(key, { body, at: new Date() });
      return end(200);
    }
    if (request.method === 'DELETE') {
      peer.objects.delete(key);
      return end(204);
    }
    const found = peer.objects.get(key);
    return found ? end(200, found.body) : end(404, '<Error><Code>NoSuchKey</Code></Error>');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  peer.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return peer;
}

function list(peer: S3Peer, bucket: string, query: URLSearchParams): string {
  const prefix = `${bucket}/${query.get('prefix') ?? ''}`;
  const after = `${bucket}/${query.get('start-after') ?? ''}`;
  const all = [...peer.objects].filter(([key]) => key.startsWith(prefix) && key > after).sort();
  const shown = all
    .slice(0, peer.pageSize)
    .map(
      ([key, { body, at }]) =>
        `<Contents><Key>${key.slice(bucket.length + 1)}</Key><LastModified>${at.toISOString()}</LastModified><Size>${body.length}</Size></Contents>`,
    );
  const more = all.length > shown.length;
  return `<?xml version="1.0"?><ListBucketResult><IsTruncated>${more}</IsTruncated>${shown.join('')}</ListBucketResult>`;
}
