/** Large results and artifacts over HTTP: real agents in both kinds of isolation, and callers that mean no good. */
import { createHash, randomUUID } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Artifact } from '../../domain/artifact.ts';
import type { Run, Task } from '../../domain/run.ts';
import { startProcess } from '../support/child-process.ts';
import { makeTempDir, type TempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';
import { startTestServer, type TestServer } from './running-server.ts';

const AGENT = import.meta.resolve('../../orchestrator/agent/main.ts');
const MAIN = join(import.meta.dirname, '..', '..', 'server', 'cli', 'main.ts');
const CODE = `
  import { inputsHash, workflow } from 'signalbox';
  const made = (name: string, isolation: 'shared' | 'process') => workflow(name, {}, (w) => {
    const make = w.task('make', { isolation, cache: { key: inputsHash() } }, () =>
      Array.from({ length: 50_000 }, (_, id) => ({ id, text: 'x'.repeat(90) })));
    const bytes = w.task('bytes', { isolation }, () => Buffer.alloc(20_000_000, 7));
    w.task('read', { isolation, after: [make, bytes] }, async (ctx) => {
      const [rows, raw] = await ctx.results([make, bytes]);
      await ctx.artifact.markdown('report', '# ' + process.pid + '<script>alert(1)</script>');
      await ctx.artifact.image('svg', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'), { mime: 'image/svg+xml' });
      await ctx.artifact.image('html', Buffer.from('<script>alert(1)</script>'), { mime: 'text/html' });
      await ctx.artifact.image('big', Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(300_000)]));
      await ctx.artifact.progress('done', 100);
      return [rows.length, rows[49_999]?.text.length, Buffer.isBuffer(raw), raw.length, raw[19_999_999], process.ppid];
    });
  });
  export const shared = made('shared', 'shared');
  export const alone = made('alone', 'process');
`;

let test: TestServer;
let dir: TempDir;
let operator: string;
let agentToken: string;
let agent: ReturnType<typeof startProcess>;
const runs: Record<string, Run> = {};

beforeAll(async () => {
  test = await startTestServer();
  operator = await test.token('operator');
  agentToken = await test.token('agent');
  dir = await makeTempDir('artifacts');
  await writeFile(join(dir.path, 'code.ts'), CODE);
  const start = `
    import { runAgent } from ${JSON.stringify(AGENT)};
    await runAgent({
      url: ${JSON.stringify(test.url)}, token: '${agentToken}', name: 'shows', queues: ['default'], concurrency: 4,
      workflows: [${JSON.stringify(dir.path)}], log: (text) => console.log(text),
    });
  `;
  agent = startProcess(process.execPath, ['--input-type=module', '-e', start], {
    env: { NODE_OPTIONS: undefined },
  });
  await agent.waitForLine(/registered as session/);
}, 60_000);
afterAll(async () => {
  await agent[Symbol.asyncDispose]();
  await test[Symbol.asyncDispose]();
  await dir.remove();
});

const get = (path: string, token = operator) => test.call('GET', `/api/v1${path}`, { token });
const post = (path: string, body: unknown, token = operator) =>
  test.call('POST', `/api/v1${path}`, { token, body });

async function runOf(name: string): Promise<Run> {
  const { id } = (await post(`/workflows/${name}/runs`, {})).body as Run;
  return waitFor(
    async () => {
      const run = (await get(`/runs/${id}`)).body as Run;
      return ['succeeded', 'failed'].includes(run.state) ? run : undefined;
    },
    { timeoutMs: 30_000, what: `the end of ${name}` },
  );
}

describe('a large result', () => {
  it.each(['shared', 'alone'])(
    'passes through the server into its store and back: %s',
    { timeout: 40_000 },
    async (name) => {
      const run = await runOf(name);
      runs[name] = run;
      expect(run).toMatchObject({ state: 'succeeded' });
      const { items } = (await get(`/runs/${run.id}/tasks`)).body as { items: Task[] };
      const results = Object.fromEntries(items.map(({ key, result }) => [key, result]));
      expect((results.read as unknown[]).slice(0, 5)).toEqual([50_000, 90, true, 20_000_000, 7]);
      expect(results.make).toMatchObject({ store: 'file', items: 50_000, type: 'json' });
      expect(results.bytes).toMatchObject({ bytes: 20_000_000, type: 'binary' });
      expect(JSON.stringify(items).length).toBeLessThan(10_000);
    },
  );

  it('leaves nothing behind on its way, and is taken from the cache by a later run', async () => {
    const again = await runOf('shared');
    expect((await get(`/runs/${again.id}/tasks/make/attempts`)).body).toMatchObject({
      items: [{ state: 'succeeded', cachedFrom: runs.shared?.id }],
    });
    const cleared = await post('/workflows/shared/cache/clear', {});
    expect(cleared).toMatchObject({ status: 200, body: { forgotten: 1 } });
  });
});

describe('the result of a task', () => {
  const download = (key: string, token = operator) =>
    fetch(`${test.url}/api/v1/runs/${runs.shared?.id}/tasks/${key}/result`, {
      headers: { authorization: `Bearer ${token}` },
    });
  const sha256Of = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('base64');

  it('is downloaded as it is, with its type, its size and its hash, however large', async () => {
    const large = await download('make');
    expect(large.headers.get('content-type')).toMatch(/^application\/json/);
    const bytes = new Uint8Array(await large.arrayBuffer());
    expect(Number(large.headers.get('content-length'))).toBe(bytes.length);
    expect(large.headers.get('repr-digest')).toBe(`sha-256=:${sha256Of(bytes)}:`);
    expect(JSON.parse(new TextDecoder().decode(bytes))).toHaveLength(50_000);
    const binary = await download('bytes');
    expect(binary.headers.get('content-type')).toBe('application/octet-stream');
    expect(binary.headers.get('content-disposition')).toBe('attachment; filename="bytes.bin"');
    expect((await binary.arrayBuffer()).byteLength).toBe(20_000_000);
    const small = await download('read');
    expect(((await small.json()) as unknown[]).slice(0, 2)).toEqual([50_000, 90]);
  });

  it('is for who may look at runs, never runs in a browser, and is told to be missing', async () => {
    expect((await download('make', agentToken)).status).toBe(403);
    expect((await download('make')).headers.get('content-security-policy')).toContain('sandbox');
    expect((await download('no-such-task')).status).toBe(404);
    const of = `/runs/${randomUUID()}/tasks/make/result`;
    expect((await get(of)).status).toBe(404);
  });

  it('is printed or stored in a file by the command line, whole or not at all', async () => {
    const run = runs.shared?.id ?? '';
    const command = (...args: string[]) =>
      startProcess(process.execPath, [MAIN, 'runs', 'result', run, ...args], {
        env: { SIGNALBOX_URL: test.url, SIGNALBOX_TOKEN: operator, NODE_OPTIONS: undefined },
      });
    const file = join(dir.path, 'rows.json');
    await using stored = command('make', '--out', file);
    expect(await stored.waitForExit()).toBe(0);
    expect(JSON.parse(await readFile(file, 'utf8'))).toHaveLength(50_000);
    await using missing = command('nothing', '--out', join(dir.path, 'nothing.json'));
    expect(await missing.waitForExit()).toBe(1);
    expect((await readdir(dir.path)).filter((name) => /nothing|partial/.test(name))).toEqual([]);
  });
});

describe('artifacts', () => {
  it.each(['shared', 'alone'])('of a task are shown with its run: %s', async (name) => {
    const { items } = (await get(`/runs/${runs[name]?.id}/artifacts`)).body as {
      items: Artifact[];
    };
    expect(items.map(({ key, kind }) => `${key} ${kind}`)).toEqual([
      ...['report markdown', 'svg image', 'html image', 'big image', 'done progress'],
    ]);
    const versions = (await get('/artifacts?key=report&limit=1')).body as { items: Artifact[] };
    expect(versions.items[0]?.version).toBeGreaterThan(1);
  });

  it('never run in a browser: only pictures that can hold no code are shown, all else is downloaded', async () => {
    const { items } = (await get(`/runs/${runs.shared?.id}/artifacts`)).body as {
      items: Artifact[];
    };
    for (const { key, id } of items) {
      const { status, headers } = await get(`/artifacts/${id}/content`);
      expect(status).toBe(200);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toBe("default-src 'none'; sandbox");
      const isShown = key === 'big';
      expect(headers.get('content-type')).toBe(isShown ? 'image/png' : 'application/octet-stream');
      expect(headers.get('content-disposition')).toMatch(
        isShown ? /^inline$/ : /^attachment; filename="[\w.-]+"$/,
      );
    }
    const report = items.find(({ key }) => key === 'report');
    expect((await get(`/artifacts/${report?.id}/content`)).body).toMatch(/^# \d+<script>/);
  });

  it('are not there without a token, or under ids that are none', async () => {
    expect((await test.call('GET', '/api/v1/artifacts/1/content')).status).toBe(401);
    for (const id of ['0', '999999', 'x', '1;drop', '99999999999999999999', '..%2f..']) {
      expect((await get(`/artifacts/${id}/content`)).status).toBe(404);
    }
    expect((await get('/artifacts?cursor=WyJ4Il0')).status).toBe(400);
  });

  it('are listed and shown on the command line', async () => {
    const cli = async (...args: readonly string[]) => {
      await using program = startProcess(process.execPath, [MAIN, ...args], {
        env: { SIGNALBOX_URL: test.url, SIGNALBOX_TOKEN: operator },
      });
      return { code: await program.waitForExit(), out: program.stdout() };
    };
    const list = await cli('artifacts', 'list', '--run', runs.shared?.id ?? '');
    expect(list).toMatchObject({ code: 0, out: expect.stringMatching(/report.*markdown.*read/) });
    const { items } = (await get('/artifacts?key=report&limit=1')).body as { items: Artifact[] };
    expect((await cli('artifacts', 'show', items[0]?.id ?? '')).out).toMatch(/# \d+<script>/);
  });
});

describe('content that an agent sends', () => {
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
  const put = async (
    path: string,
    body: string,
    { token = agentToken, type = 'application/octet-stream' } = {},
  ) => {
    const response = await fetch(`${test.url}/api/v1/agent/${path}`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}`, 'content-type': type },
      body,
    });
    return { status: response.status, text: await response.text() };
  };

  it('is refused where it is not what it says, is nobody’s, or would lie elsewhere', async () => {
    const registered = await post(
      '/agent/register',
      {
        ...{ name: 'hand', queues: ['none'], concurrency: 1, version: '1' },
        ...{ definitions: [], fileErrors: [] },
      },
      agentToken,
    );
    const { sessionId } = registered.body as { sessionId: string };
    const place = `${sessionId}/blobs/${randomUUID()}/a-1`;
    expect((await put(`${place}?sha256=${sha256('abc')}`, 'abc')).status).toBe(200);
    expect((await put(`${place}?sha256=${sha256('abd')}`, 'abc')).status).toBe(400);
    expect((await put(`${place}?sha256=x`, 'abc')).status).toBe(400);
    expect(
      (await put(`${place}?sha256=${sha256('abc')}`, 'abc', { type: 'text/html' })).status,
    ).toBe(415);
    expect((await put(`${place}?sha256=${sha256('abc')}`, 'abc', { token: operator })).status).toBe(
      403,
    );
    const others = place.replace(sessionId, randomUUID());
    expect((await put(`${others}?sha256=${sha256('abc')}`, 'abc')).status).toBe(409);
    for (const name of ['..%2f..%2fetc', 'A', 'a.b', '%00', 'a/b']) {
      const path = `${sessionId}/blobs/${randomUUID()}/${name}?sha256=${sha256('abc')}`;
      expect([400, 404]).toContain((await put(path, 'abc')).status);
    }
    // What was refused is gone.
    expect(await readdir(join(test.dataDir, 'results', 'unfinished'))).toEqual([]);
    const ask = (query: string) => get(`/agent/${place}?${query}`, agentToken);
    expect(await ask('store=file')).toMatchObject({ status: 200, body: 'abc' });
    expect(await ask('store=s3%3A%2F%2Fother')).toMatchObject({
      status: 404,
      body: { detail: expect.stringMatching(/SIGNALBOX_RESULT_STORE/) },
    });
  });
});
