/** Environments over HTTP: plain names in and out, lists never mixed, tokens of one environment, deletion. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EnvironmentDiff } from '../../domain/environment.ts';
import type { Run } from '../../domain/run.ts';
import { httpTransport } from '../../orchestrator/agent/http-transport.ts';
import { type RunningAgent, startAgent } from '../../orchestrator/agent/start.ts';
import { definitionsOf } from '../../orchestrator/define/registry.ts';
import { asset, sensor, workflow } from '../../orchestrator/index.ts';
import { waitFor } from '../support/wait-for.ts';
import { listenTo } from './event-text.ts';
import { startTestServer, type TestServer } from './running-server.ts';

let server: TestServer;
let operator: string;
let viewer: string;
let admin: string;
const agents: RunningAgent[] = [];

function codeOf(where: string) {
  const daily = workflow(
    'daily',
    { schedule: where === 'production' ? '0 2 * * *' : '0 3 * * *', owners: ['data@example.org'] },
    (w) => {
      w.task('say', {}, async (ctx) => {
        ctx.log.info(`said by ${where}`);
        await ctx.artifact.markdown('report', `# ${where}`);
        return where;
      });
      if (where !== 'production') w.task('more', {}, () => where);
    },
  );
  const coded = workflow('coded', {}, (w) => {
    w.task('same', {}, () => 1);
    w.task('other', {}, where === 'production' ? () => 'as it was' : () => 'as it is to be');
  });
  const raw = asset('shop/raw', {}, () => ({ where }));
  const clean = asset('shop/clean', { dependsOn: { raw } }, (_ctx, inputs) => inputs.raw);
  const looks = sensor('looks', { triggers: daily, every: '1h' }, () => ({}));
  const both = [daily, coded, clean, looks];
  return where === 'production' ? [...both, raw] : both;
}

async function startAgentOf(where: string, token: string): Promise<RunningAgent> {
  const agent = startAgent({
    transport: httpTransport({ url: server.url, token }),
    definitions: definitionsOf(codeOf(where)),
    ...(where === 'production' ? {} : { environment: where }),
    ...{ name: `agent of ${where}`, queues: ['default'], concurrency: 4, drainMs: 200 },
    log: () => undefined,
  });
  agents.push(agent);
  await waitFor(() => agent.sessionId(), { what: `the agent of ${where}` });
  return agent;
}

interface Items {
  readonly items: readonly Record<string, unknown>[];
}

async function get<T>(path: string): Promise<T> {
  const { status, body } = await server.call('GET', `/api/v1${path}`, { token: viewer });
  expect(status, `${path}: ${JSON.stringify(body)}`).toBe(200);
  expect(JSON.stringify(body)).not.toContain('~pr-');
  return body as T;
}

async function post(path: string, body: unknown = {}, token = operator) {
  return server.call('POST', `/api/v1${path}`, { token, body });
}

const changesTold = (query: string) =>
  listenTo(`${server.url}/api/v1/events${query}`, { authorization: `Bearer ${viewer}` });

async function ended(id: string): Promise<Run> {
  return waitFor(
    async () => {
      const run = await get<Run>(`/runs/${id}`);
      return ['succeeded', 'failed', 'cancelled'].includes(run.state) ? run : undefined;
    },
    { what: `the end of ${id}`, timeoutMs: 15_000 },
  );
}

beforeAll(async () => {
  server = await startTestServer();
  [operator, viewer, admin] = await Promise.all([
    server.token('operator'),
    server.token('viewer'),
    server.token('admin'),
  ]);
  await startAgentOf('production', await server.token('agent'));
  const made = await post('/environments', { name: 'pr-1', labels: { ref: 'feature/x' } });
  expect(made.status).toBe(201);
  const { parts } = server.server;
  const own = await parts.credentials.createToken('ci', 'agent', 'test', 'pr-1');
  await startAgentOf('pr-1', own.token);
}, 60_000);
afterAll(async () => {
  await Promise.all(agents.map((agent) => agent.stop()));
  await server[Symbol.asyncDispose]();
});

describe('Environments over HTTP', () => {
  it('shows plain names with the environment beside them, and lists one environment at a time', async () => {
    for (const where of [undefined, 'pr-1']) {
      const query = where === undefined ? '' : `?environment=${where}`;
      const { status, body } = await post(`/workflows/daily/runs${query}`);
      expect(status).toBe(201);
      const run = await ended((body as { id: string }).id);
      expect(run).toMatchObject({
        ...{ workflow: 'daily', state: 'succeeded', environment: where ?? 'production' },
      });
    }
    const ours = await get<Items>('/runs?environment=pr-1');
    expect(ours.items.map(({ environment }) => environment)).toEqual(['pr-1']);
    const base = await get<Items>('/runs');
    expect(base.items.map(({ environment }) => environment)).toEqual(['production']);
    expect((await get<Items>('/runs?environment=*')).items).toHaveLength(2);
    expect((await get<Items>('/runs?workflow=daily&environment=pr-1')).items).toHaveLength(1);
    for (const [list, name] of [
      ['workflows', 'daily'],
      ['sensors', 'looks'],
      ['queues', 'default'],
      ['agents', 'agent of pr-1'],
      ['artifacts', 'report'],
    ] as const) {
      const { items } = await get<Items>(`/${list}?environment=pr-1`);
      const named = items.filter((item) => [item['name'], item['key']].includes(name));
      expect(named, list).toHaveLength(1);
      expect(named[0], list).toMatchObject({ environment: 'pr-1' });
      const production = await get<Items>(`/${list}`);
      expect(
        production.items.filter((item) => item['environment'] === 'pr-1'),
        list,
      ).toEqual([]);
    }
    const assets = await get<Items>('/assets?environment=pr-1');
    expect(assets.items.map(({ key }) => key)).toEqual(['shop/clean']);
    for (const list of [
      'backfills',
      'deadlines',
      'incidents',
      'expected-runs',
      'inputs',
      'pools',
    ]) {
      await get<Items>(`/${list}?environment=pr-1`);
    }
    await get<Items>('/overdue-runs?environment=pr-1');
    await get<Items>('/workflow-errors?environment=pr-1');
  });

  it('reads from production what the branch did not make, and says so on the run and in the version', async () => {
    const base = await post('/assets/shop%2Fraw/materialize');
    await ended((base.body as { id: string }).id);
    const { body } = await post('/assets/shop%2Fclean/materialize?environment=pr-1');
    const run = await ended((body as { id: string }).id);
    expect(run.state).toBe('succeeded');
    expect(run.readFromProduction).toMatchObject([{ asset: 'shop/raw', partition: null }]);
    const versions = await get<Items>('/assets/shop%2Fclean/materializations?environment=pr-1');
    expect(versions.items[0]).toMatchObject({
      ...{ assetKey: 'shop/clean', environment: 'pr-1' },
      inputs: [{ assetKey: 'shop/raw', environment: 'production' }],
    });
    expect((await get<Items>('/assets/shop%2Fclean/materializations')).items).toEqual([]);
    const lineage = await get<{ nodes: readonly { key: string }[] }>(
      '/assets/shop%2Fclean/lineage?environment=pr-1',
    );
    expect(lineage.nodes.map(({ key }) => key).sort()).toEqual(['shop/clean', 'shop/raw']);
  });

  it('keeps logs of the same task apart', async () => {
    const { items } = await get<Items>('/runs?environment=pr-1&workflow=daily');
    const line = await waitFor(
      async () => {
        const logs = await get<Items>(`/runs/${items[0]?.['id']}/logs?task=say`);
        return logs.items[0];
      },
      { what: 'the log line', timeoutMs: 10_000 },
    );
    expect(line).toMatchObject({ message: 'said by pr-1', taskKey: 'say' });
  });

  it('tells what differs from production, by its code as well, and which assets lie below', async () => {
    const diff = await get<EnvironmentDiff>('/environments/pr-1/diff');
    expect(diff.definitions).toMatchObject([
      { name: 'coded', kind: 'workflow', change: 'changed', what: ['code of other'] },
      {
        ...{ name: 'daily', change: 'changed', owners: ['data@example.org'] },
        schedule: { before: '0 2 * * * UTC', after: '0 3 * * * UTC' },
        what: ['schedule', expect.stringContaining('+more')],
      },
      { name: 'shop/raw', change: 'removed' },
    ]);
    expect(diff.unchanged).toBe(2);
    expect(diff.affected).toMatchObject([{ key: 'shop/clean', depth: 1, below: ['shop/raw'] }]);
  });

  it('tells who looks on of runs of his environment alone, or of one run', async () => {
    await using base = await changesTold('');
    await using branch = await changesTold('?environment=pr-1');
    await using all = await changesTold('?environment=*');
    const ids: string[] = [];
    const start = async (query: string) => {
      const { body } = await post(`/workflows/daily/runs${query}`);
      const { id } = body as { id: string };
      ids.push(id);
      return id;
    };
    const own = await start('?environment=pr-1');
    await using one = await changesTold(`?environment=pr-1&run=${own}`);
    await using others = await changesTold(`?run=${own}`);
    const second = await start('?environment=pr-1');
    const produced = await start('');
    await Promise.all([own, second, produced].map(ended));
    await waitFor(() => ids.every((id) => all.text().includes(id)), { what: 'all of them' });
    await waitFor(() => [own, second].every((id) => branch.text().includes(id)));
    await waitFor(() => base.text().includes(produced) && one.text().includes(own));
    expect(branch.text()).not.toContain(produced);
    expect(base.text()).not.toContain(own);
    expect(base.text()).not.toContain(second);
    expect(one.text()).not.toContain(second);
    expect(one.text()).not.toContain('"asset"');
    expect(others.text()).not.toContain('event: change');
    const wrong = await server.call('GET', '/api/v1/events?run=x', { token: viewer });
    expect(wrong.status).toBe(400);
  });

  it('refuses names that cannot be, environments that are not there, and names as they are stored', async () => {
    for (const name of ['production', 'PR-1', 'pr_1', '-x', '', '~pr-1~', 'a'.repeat(41)]) {
      const { status } = await post('/environments', { name });
      expect(status, name).toBe(400);
    }
    expect((await post('/workflows/daily/runs?environment=pr-9')).status).toBe(404);
    expect((await post('/workflows/~pr-1~daily/runs')).status).toBe(400);
    expect((await post('/workflows/daily/runs?environment=*')).status).toBe(400);
    const missing = await server.call('GET', '/api/v1/workflows/nothing?environment=pr-1', {
      token: viewer,
    });
    expect(missing.status).toBe(404);
    expect(JSON.stringify(missing.body)).not.toContain('~pr-1~');
  });
});

describe('A token of one environment', () => {
  const request = {
    ...{ name: 'evil', queues: ['default'], concurrency: 1, version: '1' },
    ...{ definitions: [], fileErrors: [] },
  };

  it('registers in its environment, and neither in production nor in another one', async () => {
    const { parts } = server.server;
    const { token } = await parts.credentials.createToken('evil', 'agent', 'test', 'pr-1');
    await post('/environments', { name: 'pr-2' });
    const asked = (body: object) =>
      server.call('POST', '/api/v1/agent/register', { token, body: { ...request, ...body } });
    expect((await asked({ environment: 'pr-2' })).status).toBe(403);
    expect((await asked({ environment: 'pr-1', queues: ['~pr-2~default'] })).status).toBe(400);
    expect((await asked({ environment: 'production' })).status).toBe(403);
    const { status, body } = await asked({});
    expect(status).toBe(200);
    const listed = await get<Items>('/agents?environment=pr-1');
    expect(listed.items.filter(({ name }) => name === 'evil')).not.toEqual([]);
    expect((await get<Items>('/agents')).items.map(({ name }) => name)).not.toContain('evil');
    const { sessionId } = body as { sessionId: string };
    await server.call('POST', `/api/v1/agent/${sessionId}/stop`, { token, body: {} });
  });

  it('speaks for no session of production, and reaches no run of production with its own', async () => {
    const { parts } = server.server;
    const { token } = await parts.credentials.createToken('evil-2', 'agent', 'test', 'pr-1');
    const production = agents[0]?.sessionId() ?? '';
    for (const [method, path, body] of [
      ['POST', 'claim', { capacity: 1, waitMs: 0 }],
      ['POST', 'heartbeat', { running: 0, pools: [] }],
      ['POST', 'stop', {}],
      ['POST', 'died', { reason: 'x' }],
      ['GET', 'assets/shop%2Fraw', undefined],
    ] as const) {
      const { status } = await server.call(method, `/api/v1/agent/${production}/${path}`, {
        token,
        ...(body === undefined ? {} : { body }),
      });
      expect(status, path).toBe(403);
    }
    const registered = await server.call('POST', '/api/v1/agent/register', {
      ...{ token, body: request },
    });
    const { sessionId } = registered.body as { sessionId: string };
    const own = `/api/v1/agent/${sessionId}`;
    const { items } = await get<Items>('/runs?workflow=daily');
    const runId = String(items[0]?.['id']);
    const reads = await server.call('GET', `${own}/results/${runId}/say`, { token });
    expect(reads.status).toBe(409);
    const claims = await server.call('POST', `${own}/complete`, {
      token,
      body: {
        ...{ take: 0 },
        completions: [
          { runId, taskKey: 'say', token: '1', state: 'succeeded', startedAt: 1, finishedAt: 2 },
        ],
      },
    });
    expect(claims.body).toMatchObject({ outcomes: [{ outcome: 'lease-lost' }] });
    await server.call('POST', `${own}/stop`, { token, body: {} });
  });

  it('is made by an admin for the role agent alone', async () => {
    const make = (body: object) => post('/tokens', { name: crypto.randomUUID(), ...body }, admin);
    expect((await make({ role: 'agent', environment: 'pr-1' })).status).toBe(201);
    expect((await make({ role: 'operator', environment: 'pr-1' })).status).toBe(400);
  });
});

describe('Deleting an environment over HTTP', () => {
  it('is for who made it, or an admin; afterwards it can be made again, empty', async () => {
    const other = await server.token('operator');
    const remove = (token: string) => server.call('DELETE', '/api/v1/environments/pr-1', { token });
    expect((await remove(other)).status).toBe(403);
    expect((await remove(viewer)).status).toBe(403);
    expect((await remove(admin)).status).toBe(202);
    expect((await post('/workflows/daily/runs?environment=pr-1')).status).toBe(409);
    await waitFor(
      async () => (await get<Items>('/environments')).items.every(({ name }) => name !== 'pr-1'),
      { what: 'the deletion', timeoutMs: 20_000 },
    );
    // Its agent has given up: it would else register again for ever.
    await expect(agents[1]?.ended).rejects.toThrow(
      /pr-1 (does not exist|is being deleted)|valid token/,
    );
    expect((await post('/environments', { name: 'pr-1' })).status).toBe(201);
    expect((await get<Items>('/runs?environment=pr-1')).items).toEqual([]);
    expect((await get<Items>('/workflows?environment=pr-1')).items).toEqual([]);
    const audit = await server.call('GET', '/api/v1/audit', { token: admin });
    const actions = (audit.body as Items).items.map(({ action }) => action);
    expect(actions).toContain('DELETE /api/v1/environments/:name');
    expect(actions).toContain('POST /api/v1/environments');
  });
});
