import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { WorkflowFileError } from '../../domain/agent-protocol.ts';
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

test('advice on the command line names no field that only the API shows', async () => {
  const policy = { token, body: { warnAfter: '1h' } };
  const set = await server.call('PUT', '/api/v1/assets/sales%2Fplain/policy', policy);
  expect(set.status).toBe(200);
  await using directory = await makeTempDir('cli');
  await using program = startProcess(
    process.execPath,
    [MAIN, 'assets', 'partitions', 'sales/plain'],
    {
      cwd: directory.path,
      env: { NO_COLOR: '1', SIGNALBOX_URL: server.url, SIGNALBOX_TOKEN: token },
    },
  );
  expect(await program.waitForExit()).toBe(1);
  expect(program.stderr()).toContain('sales/plain has no partitions (conflict)');
  expect(program.stderr()).toContain('The first line tells the state; read it again');
  expect(program.stderr()).not.toContain('`detail`');
});

test('faults of files are listed until the agent that told them stops', async () => {
  const agent = { token: await server.token('agent') };
  const fileErrors = [{ file: 'broken.ts', message: 'SyntaxError: here' }];
  const told = async () => {
    const { body } = await server.call('GET', '/api/v1/workflow-errors', { token });
    return (body as { items: WorkflowFileError[] }).items.map(({ file }) => file);
  };
  const registered = await server.call('POST', '/api/v1/agent/register', {
    ...agent,
    body: {
      ...{ name: 'with-faults', queues: ['default'], concurrency: 1, version: '1' },
      ...{ definitions: [], fileErrors },
    },
  });
  expect(await told()).toEqual(['broken.ts']);
  const { sessionId } = registered.body as { sessionId: string };
  const stopped = await server.call('POST', `/api/v1/agent/${sessionId}/stop`, agent);
  expect(stopped.status).toBeLessThan(300);
  expect(await told()).toEqual([]);
});
