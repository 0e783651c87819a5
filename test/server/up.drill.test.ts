import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startProcess, type TestProcess } from '../support/child-process.ts';
import { makeTempDir, type TempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';
import { alive, commandOf, descendantsOf } from './process-tree.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'server', 'cli', 'main.ts');
const STOP_LIMIT_MS = 10_000;

interface Ready {
  readonly url: string;
  readonly token: string;
  readonly loginUrl: string;
  readonly otlpUrl: string;
  readonly clickhouseUrl: string;
  readonly clickhouseUser: string;
  readonly clickhousePassword: string;
  readonly databaseUrl: string;
}

let temp: TempDir;
let dataDir: string;
let workflows: string;

beforeAll(async () => {
  temp = await makeTempDir('up');
  dataDir = join(temp.path, 'data');
  workflows = join(temp.path, 'workflows');
  await mkdir(workflows);
});
afterAll(() => temp.remove());

function startUp(...extra: string[]): TestProcess {
  return startForPerson('--json', ...extra);
}

function startForPerson(...extra: string[]): TestProcess {
  const ports = ['--port', '0', '--otlp-port', '0', '--clickhouse-port', '0'];
  return startProcess(
    process.execPath,
    [MAIN, 'up', '--data-dir', dataDir, '--workflows', workflows, ...ports, ...extra],
    { cwd: temp.path, env: { NODE_ENV: undefined, VITEST: undefined } },
  );
}

async function readyOf(up: TestProcess): Promise<Ready> {
  return JSON.parse(await up.waitForLine(/^\{"url"/, 60_000)) as Ready;
}

async function call(ready: Ready, method: string, path: string, body?: object): Promise<unknown> {
  const response = await fetch(`${ready.url}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${ready.token}`, 'content-type': 'application/json' },
    body: body === undefined ? null : JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return response.json();
}

async function ask(ready: Ready, query: string): Promise<string> {
  const answer = await fetch(ready.clickhouseUrl, {
    method: 'POST',
    headers: {
      'x-clickhouse-user': ready.clickhouseUser,
      'x-clickhouse-key': ready.clickhousePassword,
    },
    body: query,
  });
  return answer.text();
}

async function processOf(up: TestProcess, part: RegExp): Promise<number> {
  for (const pid of await descendantsOf(up.pid)) if (part.test(await commandOf(pid))) return pid;
  throw new Error(`no process like ${part}`);
}

describe('signalbox up', () => {
  it('brings up what its one line tells, keeps its secrets, and ends without a trace', async () => {
    await using up = startUp();
    const ready = await readyOf(up);
    expect(await call(ready, 'PUT', '/pools/kept', { max: 7 })).toMatchObject({ max: 7 });
    expect(await call(ready, 'GET', '/agents')).toMatchObject({
      items: expect.arrayContaining([expect.objectContaining({ name: 'local', state: 'online' })]),
    });
    const code = new URL(ready.loginUrl).hash.slice('#code='.length);
    expect(await call(ready, 'POST', '/auth/login', { code })).toMatchObject({ role: 'admin' });
    expect(await ask(ready, 'SELECT 1')).toBe('1\n');
    expect(await ask(ready, 'CREATE TABLE t (x UInt8) ENGINE = Memory')).toMatch(
      /readonly|denied/i,
    );
    const client = new pg.Client(ready.databaseUrl);
    await client.connect();
    const { rows } = await client.query('SHOW server_version_num');
    await client.end();
    expect(Number(rows[0].server_version_num)).toBeGreaterThan(180_000);
    for (const file of ['secrets.json', 'connection.json']) {
      expect((await stat(join(dataDir, file))).mode & 0o777).toBe(0o600);
    }
    const parts = await descendantsOf(up.pid);
    expect(parts.length).toBeGreaterThanOrEqual(5);
    const startedAt = performance.now();
    expect(await up.stop('SIGTERM', STOP_LIMIT_MS)).toBe(0);
    expect(performance.now() - startedAt).toBeLessThan(STOP_LIMIT_MS);
    expect(await alive(parts)).toEqual([]);
  });

  it('tells on the terminal what is wrong with a workflow file, once, and that it is mended', async () => {
    const file = join(workflows, 'slip.ts');
    const slip = (schedule: string) => `import { workflow } from 'signalbox';
      export default workflow('slip', { schedule: '${schedule}' }, (w) => { w.task('a', {}, () => 1); });`;
    await writeFile(file, slip('99 * * * *'));
    await using up = startForPerson('--no-examples');
    const said = (what: string) =>
      waitFor(() => up.stderr().includes(what), { timeoutMs: 60_000, what });
    await up.waitForLine(/ is up after /, 60_000);
    await said('■ workflows/slip.ts: workflow "slip": schedule: "99 * * * *" is not a cron');
    await writeFile(file, slip('0 2 * * *'));
    await said('● workflows/slip.ts: nothing is wrong any more');
    await writeFile(file, 'export default workflow(;');
    await said('■ workflows/slip.ts: SyntaxError: ');
    expect(up.stderr().match(/slip\.ts/g)).toHaveLength(3);
    await rm(file);
  });

  it('starts parts again that are killed, at the same addresses', async () => {
    await using up = startUp('--no-agent');
    const ready = await readyOf(up);
    for (const part of [/main\.ts server/, /collector\/embedded\/main/, /bin\/postgres -D/]) {
      const pid = await processOf(up, part);
      process.kill(pid, 'SIGKILL');
      const works = async () => {
        expect(await processOf(up, part)).not.toBe(pid);
        await call(ready, 'PUT', '/pools/kept', { max: 8 });
        const state = await (await fetch(`${ready.url}/readyz`)).json();
        return (state as { status: string }).status === 'ready';
      };
      await waitFor(works, {
        timeoutMs: 30_000,
        what: `all to work without ${part}`,
        intervalMs: 200,
      });
    }
  });

  it('leaves nothing behind when it is killed, and starts again on the same data', async () => {
    const first = startUp();
    await readyOf(first);
    const parts = await descendantsOf(first.pid);
    process.kill(first.pid, 'SIGKILL');
    // At once: the parts of the first one are still ending.
    await using second = startUp();
    const ready = await readyOf(second);
    expect(await call(ready, 'GET', '/pools/kept')).toMatchObject({ max: 8 });
    await waitFor(async () => (await alive(parts)).length === 0, {
      timeoutMs: STOP_LIMIT_MS,
      what: 'the parts of the killed one to end',
    });
  });

  it('refuses a data directory that is in use, a port that is taken, and a wrong option', async () => {
    await using up = startUp('--no-agent');
    const ready = await readyOf(up);
    await using second = startUp();
    expect(await second.waitForExit()).toBe(1);
    expect(second.stderr()).toContain(
      `${dataDir} is in use by another signalbox (process ${up.pid})`,
    );

    const taken = createServer().listen(0, '127.0.0.1');
    await waitFor(() => taken.listening);
    const { port } = taken.address() as { port: number };
    dataDir = join(temp.path, 'other');
    await using third = startUp('--port', String(port));
    expect(await third.waitForExit()).toBe(1);
    expect(third.stderr()).toContain(`Port ${port} is in use`);
    expect(third.stderr()).toContain('SIGNALBOX_PORT');
    taken.close();

    await using fourth = startUp('--prot', '1');
    expect(await fourth.waitForExit()).toBe(2);
    expect(fourth.stderr()).toContain("unknown option '--prot'");
    expect(fourth.stderr()).toContain('Did you mean --port?');
    expect(await (await fetch(`${ready.url}/healthz`)).json()).toEqual({ status: 'ok' });
  });
});
