import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { startProcess } from '../support/child-process.ts';
import { freePort } from '../support/free-port.ts';
import { startTestPostgres } from '../support/postgres.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'server', 'cli', 'main.ts');

async function run(args: readonly string[], env: Record<string, string> = {}) {
  await using temp = await makeTempDir('cli');
  await using program = startProcess(process.execPath, [MAIN, ...args], {
    cwd: temp.path,
    env: { NO_COLOR: '1', ...env },
  });
  const code = await program.waitForExit();
  return { code, stdout: program.stdout(), stderr: program.stderr() };
}

describe('the command line', () => {
  it('ends with 2 and a suggestion where a command or an option does not exist', async () => {
    const command = await run(['upp']);
    expect(command).toMatchObject({ code: 2, stderr: expect.stringContaining('Did you mean up?') });
    const option = await run(['db', 'status', '--jsn']);
    expect(option).toMatchObject({ code: 2, stderr: expect.stringContaining('--json?') });
    expect(await run(['agent', '--concurrency', '0'])).toMatchObject({ code: 2 });
  });

  it('ends with 2 and says which options exclude each other', async () => {
    const server = ['--url', 'http://127.0.0.1:9', '--token', 't'];
    const both = await run(['assets', 'materialize', 'a/b', '--missing', '--failed', ...server]);
    expect(both).toMatchObject({ code: 2, stderr: expect.stringContaining('give one of') });
  });

  it('ends with 0 where help or the version is asked for', async () => {
    expect(await run(['--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('up') });
    expect((await run(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('ends with 2 and all faults where settings are wrong', async () => {
    const { code, stderr } = await run(['up', '--port', 'x'], { SIGNALBOX_LEASE: 'soon' });
    expect(code).toBe(2);
    expect(stderr).toContain('SIGNALBOX_PORT: "x" is not valid');
    expect(stderr).toContain('SIGNALBOX_LEASE: "soon" is not valid');
  });

  it('says at once which folder is none, and which database is not there', async () => {
    const folder = await run(['up', '--workflows', '/no/such/folder']);
    expect(folder).toMatchObject({ code: 2, stderr: expect.stringContaining('/no/such/folder') });
    const agent = ['agent', '--url', 'http://127.0.0.1:9', '--token', 't'];
    expect(await run([...agent, '--workflows', '/no/such/folder'])).toMatchObject({ code: 2 });
    const port = await freePort();
    const CLICKHOUSE_URL = `http://writer:secret@127.0.0.1:${port}`;
    const DATABASE_URL = `postgres://u:secret@127.0.0.1:${port}/x`;
    const away = await run(['server', '--port', '0'], { CLICKHOUSE_URL, DATABASE_URL });
    expect(away).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/ClickHouse at 127.0.0.1:\d+ refuses connections/),
    });
    expect(away.stderr).not.toContain('secret');
  });

  it('says what is missing where no server, token or database is known', async () => {
    expect(await run(['runs', 'list'])).toMatchObject({
      stderr: expect.stringContaining('signalbox up'),
    });
    expect(await run(['agent'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--url'),
    });
    expect(await run(['server'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/DATABASE_URL is missing.*CLICKHOUSE_URL is missing/s),
    });
  });

  it('ends an agent whose token is refused at once, and says why', async () => {
    await using server = createServer((_, response) => response.writeHead(401).end()).listen(0);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const agent = ['agent', '--url', `http://127.0.0.1:${port}`, '--token', 'wrong'];
    const { code, stderr } = await run(agent);
    expect(code).toBe(1);
    expect(stderr).toContain('A valid token is needed');
    expect(stderr).not.toContain('blocked');
  });

  it('takes a date alone and a priority below zero for a run that is started by hand', async () => {
    let asked = '';
    await using server = createServer(async (request, response) => {
      asked = await text(request);
      response.writeHead(201).end(JSON.stringify({ id: '1', state: 'queued' }));
    }).listen(0);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const to = ['--url', `http://127.0.0.1:${port}`, '--token', 't'];
    const options = ['--logical-date', '2026-01-01', '--priority', '-5'];
    expect(await run(['workflows', 'trigger', 'w', ...options, ...to])).toMatchObject({ code: 0 });
    expect(JSON.parse(asked)).toEqual({ logicalDate: '2026-01-01T00:00:00Z', priority: -5 });
    const wrong = await run(['workflows', 'trigger', 'w', '--priority', 'high', ...to]);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('such as -10') });
  });

  it('migrates a database, and says with its exit code whether that is done', async () => {
    await using database = await startTestPostgres();
    const env = { DATABASE_URL: database.url };
    expect(await run(['db', 'status'], env)).toMatchObject({ code: 1 });
    const migrated = await run(['db', 'migrate', '--json'], env);
    expect(migrated.code).toBe(0);
    expect(JSON.parse(migrated.stdout).applied).toContain('server/0001_access.sql');
    expect(await run(['db', 'status'], env)).toMatchObject({ code: 0 });
    const away = await run(['db', 'migrate'], { DATABASE_URL: 'postgres://127.0.0.1:1/none' });
    expect(away).toMatchObject({ code: 1, stderr: expect.stringContaining('refuses connections') });
  });
});
