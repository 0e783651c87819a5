/** Checks, facts, observations and reports over HTTP and on the command line. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { httpTransport } from '../../orchestrator/agent/http-transport.ts';
import { type RunningAgent, startAgent } from '../../orchestrator/agent/start.ts';
import { definitionsOf } from '../../orchestrator/define/registry.ts';
import { asset, check, rowCount, rowCountChange } from '../../orchestrator/index.ts';
import { startProcess } from '../support/child-process.ts';
import { waitFor } from '../support/wait-for.ts';
import { startTestServer, type TestServer } from './running-server.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'server', 'cli', 'main.ts');

let test: TestServer;
let agent: RunningAgent;
let token: string;
let ingest: string;

const orders = asset(
  'shop/orders',
  { checks: [rowCount({ min: 1 }), rowCountChange({ maxDrop: 0.5, name: 'drop' })] },
  () => [{ id: 1 }, { id: 2 }],
);
const strict = check('strict', { asset: orders }, () => ({ passed: false, metadata: { why: 1 } }));

beforeAll(async () => {
  test = await startTestServer();
  token = await test.token('admin');
  ingest = await test.token('ingest');
  agent = startAgent({
    ...{ name: 'a', queues: ['default'], concurrency: 4, log: () => undefined },
    transport: httpTransport({ url: test.url, token: await test.token('agent') }),
    definitions: definitionsOf([orders, strict]),
  });
  await waitFor(() => agent.sessionId());
});
afterAll(async () => {
  await agent.stop();
  await test[Symbol.asyncDispose]();
});

const call = (method: string, path: string, body?: unknown, as = token) =>
  test.call(method, `/api/v1${path}`, { token: as, ...(body === undefined ? {} : { body }) });

async function cli(...args: string[]) {
  const command = startProcess(process.execPath, [MAIN, ...args], {
    env: { SIGNALBOX_URL: test.url, SIGNALBOX_TOKEN: token },
  });
  const code = await command.waitForExit();
  return { code, out: command.stdout(), err: command.stderr() };
}

const key = encodeURIComponent('shop/orders');

describe('the quality of assets', () => {
  it('is asked for over HTTP and told by runs, checks and facts', async () => {
    const { body } = await call('POST', `/assets/${key}/materialize`, {});
    const { id } = body as { id: string };
    await waitFor(async () => {
      const run = (await call('GET', `/runs/${id}`)).body as { state: string };
      return run.state === 'succeeded';
    });
    expect((await call('GET', `/assets/${key}`)).body).toMatchObject({
      checkState: 'failing',
      checks: [
        { name: 'row-count', passed: true, severity: 'error', metadata: { rows: 2 } },
        { name: 'drop', passed: true },
        { name: 'strict', passed: false, metadata: { why: 1 } },
      ],
    });
    expect((await call('GET', `/assets/${key}/checks?check=strict`)).body).toMatchObject({
      items: [{ check: 'strict', passed: false, runId: id }],
    });
    expect((await call('GET', `/assets/${key}/metadata?name=rows`)).body).toMatchObject({
      items: [{ source: 'materialization', entry: { type: 'number', value: 2 }, runId: id }],
    });
    expect((await call('GET', `/assets/${key}/metadata`)).status).toBe(400);
    expect((await call('GET', '/assets/nobody/checks')).status).toBe(404);
  });

  it('fails a command line that asks for checks, and not for one that passes', async () => {
    const all = await cli('assets', 'check', 'shop/orders');
    expect([all.code, all.err]).toEqual([1, '']);
    expect(all.out).toMatch(/strict .*error/);
    const one = await cli('assets', 'check', 'shop/orders', '--check', 'row-count', '--json');
    expect(one.code).toBe(0);
    expect(JSON.parse(one.out)).toMatchObject({ checks: [{ check: 'row-count', passed: true }] });
    const unknown = await cli('assets', 'check', 'shop/orders', '--check', 'nobody');
    expect([unknown.code === 0, unknown.err]).toEqual([false, expect.stringContaining('nobody')]);
    expect((await cli('assets', 'checks', 'shop/orders', '--limit', '1')).out).toContain(
      'row-count',
    );
    expect((await cli('assets', 'metadata', 'shop/orders', 'rows')).out).toMatch(/\b2\b/);
  });

  it('is reported from outside by whoever may send telemetry, once a key', async () => {
    const made = encodeURIComponent('dbt/orders');
    const report = {
      ...{ eventTime: '2026-02-03T00:00:00Z', metadata: { rows: 5 }, idempotencyKey: 'k' },
      checks: [{ name: 'not_null', passed: true }],
    };
    const send = (body: unknown, as = ingest) =>
      call('POST', `/assets/${made}/materializations`, body, as);
    expect((await send(report)).status).toBe(201);
    expect((await send(report)).status).toBe(200);
    expect((await send({ ...report, surprise: 1 })).status).toBe(400);
    expect((await send({ eventTime: 'yesterday' })).status).toBe(400);
    expect((await send(report, await test.token('viewer'))).status).toBe(403);
    expect((await call('GET', `/assets/${made}`)).body).toMatchObject({
      ...{ external: true, checkState: 'passing' },
      lastMaterialization: { provenance: 'observed', metadata: { rows: 5 } },
    });
  });

  it('of data made elsewhere is observed without a version', async () => {
    const seen = encodeURIComponent('erp/invoices');
    const look = { dataVersion: 'v7', metadata: { files: 3 } };
    expect((await call('POST', `/assets/${seen}/observations`, look, ingest)).status).toBe(201);
    expect((await call('GET', `/assets/${seen}`)).body).toMatchObject({
      ...{ lastMaterialization: null, freshness: 'fresh' },
      lastObservation: { dataVersion: 'v7' },
    });
    expect((await cli('assets', 'observations', 'erp/invoices')).out).toContain('v7');
    expect((await call('GET', `/assets/${seen}/metadata?name=files`)).body).toMatchObject({
      items: [{ source: 'observation', entry: { value: 3 } }],
    });
  });
});
