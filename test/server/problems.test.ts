import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from './running-server.ts';

let test: TestServer;
let token: string;

beforeAll(async () => {
  test = await startTestServer();
  token = await test.token('admin');
});
afterAll(() => test[Symbol.asyncDispose]());

const call = (method: string, path: string, body?: unknown) =>
  test.call(method, path, { token, ...(body === undefined ? {} : { body }) });

async function problemOf(method: string, path: string, body?: unknown) {
  const answer = await call(method, path, body);
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  const problem = answer.body as { status: number; code: string; advice: string };
  expect(problem.status).toBe(answer.status);
  expect(problem.advice).not.toBe('');
  return answer.body;
}

describe('a request that cannot be answered gets a problem', () => {
  it('where nothing is', async () => {
    expect(await problemOf('GET', '/api/v1/nothing')).toMatchObject({ code: 'not-found' });
    expect(await problemOf('POST', '/nothing')).toMatchObject({ code: 'not-found' });
    expect(await problemOf('GET', '/api/v1/workflows/none')).toMatchObject({ code: 'not-found' });
    expect(await problemOf('GET', '/api/v1/runs/none')).toMatchObject({ code: 'not-found' });
    expect(await problemOf('GET', '/api/v1/incidents/none')).toMatchObject({ code: 'not-found' });
    expect(await problemOf('GET', '/api/v1/executions/none')).toMatchObject({ code: 'not-found' });
    expect(await problemOf('GET', '/api/v1/pools/none')).toMatchObject({ code: 'not-found' });
  });

  it('for a wrong method, with those that are right', async () => {
    const answer = await call('DELETE', '/api/v1/runs');
    expect(answer).toMatchObject({ status: 405, body: { code: 'method-not-allowed' } });
    expect(answer.headers.get('allow')).toBe('GET, HEAD');
  });

  it('for a body that is not JSON', async () => {
    expect(await problemOf('PUT', '/api/v1/pools/a', '{"max":')).toMatchObject({
      code: 'malformed-json',
    });
    const text = await test.call('PUT', '/api/v1/pools/a', {
      token,
      body: 'max=1',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect(text).toMatchObject({ status: 415, body: { code: 'unsupported-media-type' } });
  });

  it('with the path of each fault: unknown fields, wrong types, missing ones', async () => {
    expect(await problemOf('PUT', '/api/v1/pools/a', { max: '3', colour: 'red' })).toMatchObject({
      code: 'invalid-request',
      errors: [
        { path: '/colour', message: 'is not a known field' },
        { path: '/max', message: 'must be integer' },
      ],
    });
    expect(await problemOf('PUT', '/api/v1/pools/a', {})).toMatchObject({
      errors: [{ path: '/max', message: 'is missing' }],
    });
    expect(await problemOf('PUT', '/api/v1/pools/a', [])).toMatchObject({
      code: 'invalid-request',
    });
    expect(await problemOf('POST', '/api/v1/workflows/a/runs', { parameters: 7 })).toMatchObject({
      errors: [{ path: '/parameters' }],
    });
  });

  it('for a limit, a state or a filter that no list has', async () => {
    const slips = ['limit=1e2', 'limit=0x10', 'limit=%205', 'limit=', 'limit=5.', 'limit=%2B5'];
    for (const query of [
      'limit=0',
      'limit=1001',
      'limit=x',
      ...slips,
      'state=gone',
      'colour=red',
    ]) {
      const problem = await problemOf('GET', `/api/v1/runs?${query}`);
      expect([query, problem]).toMatchObject([query, { code: 'invalid-request' }]);
    }
    expect(await problemOf('GET', '/api/v1/runs?cursor=zzz')).toMatchObject({
      code: 'invalid-cursor',
    });
    expect(await problemOf('GET', '/api/v1/audit?cursor=zzz')).toMatchObject({
      code: 'invalid-cursor',
    });
  });

  it('for a key that no asset in code could have', async () => {
    for (const key of ['a%09b', 'a%20b', '%2F', '%2Fa', 'a%2F', 'x'.repeat(251)]) {
      const paths = ['policy', 'observations', 'materializations'] as const;
      for (const path of paths) {
        const method = path === 'policy' ? 'PUT' : 'POST';
        const problem = await problemOf(method, `/api/v1/assets/${key}/${path}`, {});
        expect([key, path, problem]).toMatchObject([
          ...[key, path],
          { code: 'invalid-request', detail: expect.stringContaining('an asset key is') },
        ]);
      }
    }
  });

  it.each([
    '1999-12-31T23:59:59Z',
    '2200-01-01T00:00:00Z',
    '2026-02-01',
    '2026-13-01T00:00:00Z',
    '2026-02-29T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:00:00',
    'soon',
  ])('for the time %s', async (logicalDate) => {
    expect(await problemOf('POST', '/api/v1/workflows/a/runs', { logicalDate })).toMatchObject({
      code: 'invalid-time',
      errors: [{ path: '/logicalDate' }],
    });
  });

  it('for a duration that cannot be read', async () => {
    const problem = await problemOf('PUT', '/api/v1/assets/a%2Fb/policy', {
      warnAfter: '5 parsecs',
    });
    expect(problem).toMatchObject({ code: 'invalid-request', errors: [{ path: '/warnAfter' }] });
  });

  it('for characters that cannot be stored', async () => {
    const body = '{"parameters":{"a":["\\u0000"],"b":"\\ud800"}}';
    expect(await problemOf('POST', '/api/v1/workflows/a/runs', body)).toMatchObject({
      code: 'invalid-request',
      errors: [{ path: '/parameters/a/0' }, { path: '/parameters/b' }],
    });
    const inUrl = await problemOf('GET', '/api/v1/workflows/a%00b');
    expect(inUrl).toMatchObject({ code: expect.stringMatching(/^(not-found|invalid-request)$/) });
  });

  it('for lists and objects too deep within each other, and for none that are not', async () => {
    const deep = (levels: number) =>
      `{"parameters":${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}}`;
    const path = '/api/v1/workflows/a/runs';
    expect(await problemOf('POST', path, deep(5_000))).toMatchObject({ code: 'invalid-request' });
    expect(await problemOf('POST', path, '['.repeat(200_000))).toMatchObject({
      code: 'invalid-request',
    });
    expect(await problemOf('POST', path, deep(150))).toMatchObject({ code: 'not-found' });
    const brackets = { parameters: { text: '[{"'.repeat(1_000) } };
    expect(await problemOf('POST', path, brackets)).toMatchObject({ code: 'not-found' });
  });

  it('for a body that is not the gzip which it says it is, and takes one that is', async () => {
    const send = async (body: string | Uint8Array<ArrayBuffer>, encoding: string) => {
      const headers = { 'content-encoding': encoding, 'content-type': 'application/json' };
      const answer = await fetch(`${test.url}/api/v1/pools/zipped`, {
        ...{ method: 'PUT', body, headers: { ...headers, authorization: `Bearer ${token}` } },
      });
      return { status: answer.status, ...((await answer.json()) as object) };
    };
    expect(await send(new Uint8Array(gzipSync('{"max":3}')), 'gzip')).toMatchObject({ max: 3 });
    expect(await send('{"max":3}', 'gzip')).toMatchObject({ code: 'malformed-compression' });
    expect(await send('{"max":3}', 'br')).toMatchObject({ code: 'unsupported-media-type' });
    const bomb = new Uint8Array(gzipSync(`{"max":3${' '.repeat(30 * 1024 * 1024)}}`));
    expect(await send(bomb, 'gzip')).toMatchObject({ code: 'body-too-large' });
  });

  it('for a file of the console that is not there, though pages of it have any path', async () => {
    for (const path of ['/robots.txt', '/assets/index-0bsolete.js']) {
      expect(await problemOf('GET', path)).toMatchObject({ code: 'not-found' });
    }
    expect(await call('GET', '/assets/ns%2Forders.csv')).toMatchObject({ status: 200 });
  });

  it('and the audit trail tells its code', async () => {
    await call('PUT', '/api/v1/pools/audited', { max: -1 });
    const { body } = await call('GET', '/api/v1/audit?limit=1');
    expect(body).toMatchObject({ items: [{ status: 400, outcome: 'invalid-request' }] });
  });

  it('but for the question which methods there are', async () => {
    const answer = await call('OPTIONS', '/api/v1/runs');
    expect([answer.status, answer.headers.get('allow')]).toEqual([204, 'GET, HEAD']);
  });

  it('for more than fits', async () => {
    const body = { parameters: { text: 'x'.repeat(1024 * 1024) } };
    expect(await problemOf('POST', '/api/v1/workflows/a/runs', body)).toMatchObject({
      code: 'body-too-large',
    });
    const runs = Array.from({ length: 10_001 }, () => ({}));
    expect(await problemOf('POST', '/api/v1/workflows/a/runs/batch', { runs })).toMatchObject({
      code: 'invalid-request',
      errors: [{ path: '/runs' }],
    });
  });

  it('also while the client still sends, and for a URL or headers that cannot be read', async () => {
    const { port } = new URL(test.url);
    const raw = (head: string, body: Buffer) =>
      new Promise<string>((resolve, reject) => {
        let answer = '';
        const socket = connect({ port: Number(port), host: '127.0.0.1' });
        socket.on('error', reject).on('data', (chunk) => {
          answer += String(chunk);
          socket.end();
        });
        // Like many clients: all is written before anything is read.
        socket.pause();
        socket.write(`${head}\r\nhost: a\r\n\r\n`);
        socket.write(body, () => socket.resume());
        socket.on('close', () => resolve(answer));
      });
    const large = Buffer.alloc(20_000_000, ' ');
    const post = `POST /api/v1/lineage HTTP/1.1\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json`;
    expect(await raw(`${post}\r\ncontent-length: 200000000`, large)).toMatch(/"body-too-large"/);
    const none = Buffer.alloc(0);
    expect(await raw('GET /api/v1/assets/%ZZ HTTP/1.1', none)).toMatch(
      /application\/problem\+json.*"invalid-request"/s,
    );
    expect(await raw(`GET /${'x'.repeat(30_000)} HTTP/1.1`, none)).toMatch(
      /^HTTP\/1.1 431 .*application\/problem\+json.*"headers-too-large"/s,
    );
  });

  it('for SQL that is more than a question', async () => {
    for (const sql of [
      'DROP TABLE otel.otel_traces',
      'SELEC 1',
      "SELECT * FROM file('/etc/passwd')",
    ]) {
      const answer = await call('POST', '/api/v1/query', { sql });
      expect([sql, answer.status]).toEqual([sql, 400]);
    }
    const answer = await call('POST', '/api/v1/query', {
      sql: 'SELECT {n:UInt8} + 1 AS n',
      parameters: { n: 41 },
    });
    expect(answer.body).toEqual({ rows: [{ n: 42 }] });
  });

  it('even where the request is no HTTP', async () => {
    const { port } = new URL(test.url);
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), '127.0.0.1', () => socket.write('NONSENSE\r\n\r\n'));
      socket.on('data', (data) => resolve(String(data))).on('error', reject);
    });
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
  });
});

describe('what the server offers besides', () => {
  it('says in OpenAPI 3.1 what the routes take and give', async () => {
    const { body } = await call('GET', '/api/openapi.json');
    expect(body).toMatchObject({
      openapi: '3.1.0',
      components: { schemas: { Run: { type: 'object' }, Problem: { type: 'object' } } },
    });
    const text = JSON.stringify(body);
    const references = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1] ?? '');
    expect(references.length).toBeGreaterThan(20);
    const known = Object.keys((body as { components: { schemas: object } }).components.schemas);
    const unresolved = references.filter(
      (reference) => !known.includes(reference.replace('#/components/schemas/', '')),
    );
    expect(unresolved).toEqual([]);
  });

  it('shows the console or says how to build it, with headers that let nothing else in', async () => {
    const answer = await test.call('GET', '/incidents/whatever');
    expect(answer.status).toBe(200);
    expect(answer.body).toContain('Signalbox');
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(answer.headers.get('cache-control')).toBe('no-cache');
    expect((await test.call('GET', '/..%2f..%2fpackage.json')).body).not.toContain('dependencies');
  });

  it('tells nobody which files are there beside the console', async () => {
    const present = await test.call('GET', '/..%2f..%2fpackage.json');
    const absent = await test.call('GET', '/..%2f..%2fnone.json');
    expect([present.status, present.body]).toEqual([absent.status, absent.body]);
  });

  it('says of each route of the API what it is for and what it answers with', async () => {
    const { body } = await call('GET', '/api/openapi.json');
    const { paths } = body as { paths: Record<string, Record<string, Operation>> };
    type Operation = { summary?: string; responses: object };
    const mute = Object.entries(paths)
      .filter(([path]) => !path.startsWith('/api/v1/agent/'))
      .flatMap(([path, operations]) =>
        Object.entries(operations)
          .filter(([, { summary }]) => summary === undefined)
          .map(([method]) => `${method} ${path}`),
      );
    expect(mute).toEqual([]);
    expect(Object.keys(paths['/metrics']?.['get']?.responses ?? {})).toContain('200');
  });

  it('counts what happens for Prometheus', async () => {
    const { body } = await call('GET', '/metrics');
    expect(body).toContain('signalbox_http_request_duration_seconds_bucket');
    expect(body).toContain('signalbox_agents{state="online"}');
    const names = [...String(body).matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1] ?? '');
    expect(names.filter((name) => !name.startsWith('signalbox_'))).toEqual([]);
  });

  it('tells who listens what changes', async () => {
    const abort = new AbortController();
    const response = await fetch(`${test.url}/api/v1/events`, {
      headers: { authorization: `Bearer ${token}` },
      signal: abort.signal,
    });
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const decoder = new TextDecoder();
    let text = '';
    let asked = false;
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      if (text.includes('event: hello') && !asked) {
        asked = true;
        test.server.parts.live.publish({ topic: 'run', id: 'r1' });
        test.server.parts.live.publish({ topic: 'run', id: 'r1' });
      }
      if (text.includes('event: change')) break;
    }
    expect(text).toContain('event: change\ndata: {"topic":"run","id":"r1"}');
    expect(text.match(/r1/g)).toHaveLength(1);
  });
});
