/** A pool that tasks name and nobody created limits nothing, and is told wherever somebody looks. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Pool } from '../../domain/pool.ts';
import { workflow } from '../../orchestrator/index.ts';
import { runCommand } from './command-line.ts';
import { startTestServer, type TestServer } from './running-server.ts';

const withPool = (name: string, pool: string) =>
  workflow(name, {}, (w) => {
    w.task('load', { pool }, async () => null);
  });

let server: TestServer;
let token: string;

beforeAll(async () => {
  server = await startTestServer();
  token = await server.token('operator');
});
afterAll(() => server[Symbol.asyncDispose]());

const cli = (...args: string[]) => runCommand(server, token, args);

async function register(...workflows: readonly ReturnType<typeof workflow>[]) {
  const { status, body } = await server.call('POST', '/api/v1/agent/register', {
    token: await server.token('agent'),
    body: {
      ...{ name: 'test', queues: ['elsewhere'], concurrency: 1, version: '1', fileErrors: [] },
      definitions: workflows.map(({ described }) => ({ ...described, file: 'test.ts' })),
    },
  });
  expect(status).toBe(200);
  return body as { readonly notices?: readonly string[] };
}

async function poolOf(name: string): Promise<Pool | undefined> {
  const { body } = await server.call('GET', '/api/v1/pools', { token });
  return (body as { items: Pool[] }).items.find((pool) => pool.name === name);
}

const NOTICE =
  'the pool warehouse (named by invoices, orders) limits nothing: nobody created it. Create it: signalbox pools set warehouse --max 10';

test('the agent that registers, the API and the command line tell it with the command that creates it', async () => {
  const { notices } = await register(
    withPool('orders', 'warehouse'),
    withPool('invoices', 'warehouse'),
  );
  expect(notices).toEqual([NOTICE]);
  expect(await poolOf('warehouse')).toMatchObject({
    ...{ kind: 'task-slots', max: null, used: 0, waiting: 0 },
    ...{ created: false, namedBy: ['invoices', 'orders'] },
  });
  const [pools, workflows] = await Promise.all([cli('pools', 'list'), cli('workflows', 'list')]);
  expect(pools).toContain('unlimited: named by invoices, orders, not created');
  expect(pools).toContain(NOTICE);
  expect(workflows).toContain(`notice  ${NOTICE}`);
});

test('nothing is told any more once it was created, or no task names it', async () => {
  await register(withPool('orders', 'made'), withPool('invoices', 'left'));
  const body = { max: 3 };
  expect((await server.call('PUT', '/api/v1/pools/made', { token, body })).status).toBe(200);
  const made = await poolOf('made');
  expect(made?.max).toBe(3);
  expect(made).not.toHaveProperty('created');
  expect(await poolOf('left')).toMatchObject({ created: false });
  expect(await register(withPool('orders', 'made'))).not.toHaveProperty('notices');
  await register(withPool('orders', 'made'), withPool('invoices', 'made'));
  expect(await poolOf('left')).toBeUndefined();
});
