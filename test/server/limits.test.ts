import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { workflow } from '../../orchestrator/index.ts';
import { startProcess } from '../support/child-process.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { startTestServer, type TestServer } from './running-server.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'server', 'cli', 'main.ts');
let server: TestServer;
let token: string;

beforeAll(async () => {
  server = await startTestServer();
  token = await server.token('operator');
});
afterAll(() => server[Symbol.asyncDispose]());

async function cli(...args: string[]): Promise<{ code: number | null; output: string }> {
  await using directory = await makeTempDir('cli');
  await using program = startProcess(process.execPath, [MAIN, ...args], {
    cwd: directory.path,
    env: { NO_COLOR: '1', SIGNALBOX_URL: server.url, SIGNALBOX_TOKEN: token },
  });
  const code = await program.waitForExit();
  return { code, output: program.stdout() + program.stderr() };
}

test('the API takes limits and labels of definitions and agents, and tells what a task waits for', async () => {
  const limited = workflow('limited', { queue: 'api', requires: { gpu: 'true' } }, (w) => {
    w.task('only', { maxActive: 1 }, () => null);
  });
  const registered = await server.call('POST', '/api/v1/agent/register', {
    token: await server.token('agent'),
    body: {
      ...{ name: 'cpu', queues: ['api'], concurrency: 1, version: '1', fileErrors: [] },
      labels: { region: 'eu' },
      definitions: [{ ...limited.described, file: 'limited.ts' }],
    },
  });
  expect(registered.status).toBe(200);
  const agents = await server.call('GET', '/api/v1/agents', { token });
  expect(agents.body).toMatchObject({
    items: expect.arrayContaining([
      expect.objectContaining({ name: 'cpu', labels: { region: 'eu' } }),
    ]),
  });
  const made = await server.call('POST', '/api/v1/workflows/limited/runs', { token, body: {} });
  const { id } = made.body as { id: string };
  await expect
    .poll(async () => (await server.call('GET', `/api/v1/runs/${id}/tasks`, { token })).body)
    .toMatchObject({
      items: [
        {
          key: 'only',
          state: 'ready',
          waitsFor: { reason: 'no-agent-with-labels', name: 'gpu=true' },
        },
      ],
    });
});

test('the command line sets rate, priority and limit of a queue and of all together', async () => {
  const set = await cli('queues', 'set', 'api', '--rate', '100/1m', '--priority', '5');
  expect(set).toMatchObject({ code: 0, output: expect.stringContaining('100/1m') });
  const all = await cli('queues', 'set', '--all', '--concurrency', '50');
  expect(all).toMatchObject({ code: 0, output: expect.stringContaining('50') });
  const { body } = await server.call('GET', '/api/v1/queues', { token });
  expect(body).toMatchObject({
    items: expect.arrayContaining([
      expect.objectContaining({ name: '*', concurrency: 50 }),
      expect.objectContaining({ name: 'api', rateLimit: { count: 100, per: '1m' }, priority: 5 }),
    ]),
  });
  expect((await cli('queues', 'set')).code).toBe(2);
});
