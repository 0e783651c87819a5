/** What outside programs rely on, asked for as they ask for it. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startProcess } from '../support/child-process.ts';
import { waitFor } from '../support/wait-for.ts';
import { startTestServer, type TestServer } from './running-server.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'server', 'cli', 'main.ts');

let test: TestServer;
let token: string;

beforeAll(async () => {
  test = await startTestServer();
  token = await test.token('admin');
});
afterAll(() => test[Symbol.asyncDispose]());

const call = (method: string, path: string, body?: unknown) =>
  test.call(method, `/api/v1${path}`, { token, ...(body === undefined ? {} : { body }) });

/** A pool as one service's instrumentation tells it. */
function poolMetrics(service: string, used: number, max: number | string) {
  const name = { key: 'db.client.connection.pool.name', value: { stringValue: 'main' } };
  const state = { key: 'db.client.connection.state', value: { stringValue: 'used' } };
  const timeUnixNano = `${Date.now()}000000`;
  const metric = (short: string, asDouble: number | string, attributes: object[]) => ({
    name: `db.client.connection.${short}`,
    gauge: { dataPoints: [{ timeUnixNano, asDouble, attributes }] },
  });
  const metrics = [metric('count', used, [name, state]), metric('max', max, [name])];
  const attributes = [{ key: 'service.name', value: { stringValue: service } }];
  return { resourceMetrics: [{ resource: { attributes }, scopeMetrics: [{ metrics }] }] };
}

async function sendMetrics(body: object): Promise<unknown> {
  const response = await fetch(`${test.server.otlpUrl}/v1/metrics`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return response.json();
}

describe('lists', () => {
  it('that are short have pages as well', async () => {
    for (const name of ['a', 'b', 'c']) await call('PUT', `/pools/${name}`, { max: 3 });
    const names: string[] = [];
    let cursor = '';
    do {
      const { body } = await call('GET', `/pools?limit=2${cursor}`);
      const page = body as { items: { name: string }[]; nextCursor: string | null };
      expect(page.items.length).toBeLessThanOrEqual(2);
      names.push(...page.items.map((pool) => pool.name));
      cursor = page.nextCursor === null ? '' : `&cursor=${page.nextCursor}`;
    } while (cursor !== '');
    expect(names).toEqual([...new Set(names)].sort());
    expect(names).toEqual(expect.arrayContaining(['a', 'b', 'c']));
    for (const list of ['pools', 'queues', 'agents', 'runbooks', 'detectors', 'tokens']) {
      const { body } = await call('GET', `/${list}?limit=1`);
      expect([list, (body as { items: unknown[] }).items.length]).toEqual([list, 1]);
      expect([list, await call('GET', `/${list}?limit=0`)]).toMatchObject([list, { status: 400 }]);
      expect([list, await call('GET', `/${list}?cursor=zzz`)]).toMatchObject([
        ...[list, { body: { code: 'invalid-cursor' } }],
      ]);
    }
  });

  it('show pools of one name in different services apart', async () => {
    expect(await sendMetrics(poolMetrics('shop', 3, 10))).toEqual({});
    expect(await sendMetrics(poolMetrics('billing', 7, 20))).toEqual({});
    const seen = await waitFor(async () => {
      const { body } = await call('GET', '/pools');
      const { items } = body as { items: { name: string }[] };
      const main = items.filter(({ name }) => name === 'main');
      return main.length > 1 ? main : undefined;
    });
    expect(seen).toMatchObject([
      { instance: 'billing', kind: 'otel', used: 7, max: 20 },
      { instance: 'shop', kind: 'otel', used: 3, max: 10 },
    ]);
  });
});

describe('the command line', () => {
  it('ends with 2 for values that no server would take, and with 1 for what is not there', async () => {
    const run = async (...args: readonly string[]) => {
      await using program = startProcess(process.execPath, [MAIN, ...args], {
        env: { SIGNALBOX_URL: test.url, SIGNALBOX_TOKEN: token },
      });
      return await program.waitForExit();
    };
    const range = ['--from', 'yesterday', '--to', '2026-01-01T00:00:00Z'];
    expect(await run('backtest', 'agent-lost', ...range)).toBe(2);
    expect(await run('runs', 'list', '--state', 'gone', '--json')).toBe(2);
    expect(await run('runs', 'show', 'none')).toBe(1);
    expect(await run('runs', 'list', '--json')).toBe(0);
  });
});

describe('what is sent', () => {
  it('may hold numbers that are none, as OTLP writes them', async () => {
    for (const value of ['NaN', 'Infinity', '-Infinity']) {
      expect([value, await sendMetrics(poolMetrics('odd', 1, value))]).toEqual([value, {}]);
    }
  });

  it('is told its faults with their paths', async () => {
    const key = encodeURIComponent('s3://bucket/a/b');
    expect(await call('PUT', `/assets/${key}/policy`, { deadlineCron: 'never' })).toMatchObject({
      status: 400,
      body: { errors: [{ path: '/deadlineCron' }] },
    });
    expect(await call('POST', '/lineage', { eventType: 'START' })).toMatchObject({
      status: 400,
      body: { errors: expect.arrayContaining([expect.objectContaining({ path: '/run' })]) },
    });
    expect(await call('POST', '/lineage', [{ eventType: 'START' }])).toMatchObject({
      status: 400,
      body: { errors: expect.arrayContaining([expect.objectContaining({ path: '/0/run' })]) },
    });
  });

  it('names assets whose namespace is a URL', async () => {
    for (const [namespace, name] of [
      ['s3://bucket', 'a/b'],
      ['hdfs://host:8020', '/a/b'],
      ['duckdb:///data/shop.duckdb', 'shop.main.orders'],
      ['file', '/tmp/orders.csv'],
      ['warehouse', 'raw/customers'],
    ]) {
      const path = `/assets/${encodeURIComponent(`${namespace}/${name}`)}/policy`;
      expect((await call('PUT', path, { failAfter: '60m' })).body).toMatchObject({
        ...{ key: `${namespace}/${name}`, namespace, name },
      });
    }
  });
});
