import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CallbackRecord } from '../../domain/callback.ts';
import type { Deadline } from '../../domain/deadline.ts';
import { webhook, workflow } from '../../orchestrator/index.ts';
import { waitFor } from '../support/wait-for.ts';
import { runCommand } from './command-line.ts';
import { startTestServer, type TestServer } from './running-server.ts';

const got: unknown[] = [];
const peer = createServer(async (request, response) => {
  got.push(await json(request));
  response.end();
});
let server: TestServer;
let token: string;
let runId: string;

interface List<T> {
  readonly items: readonly T[];
}

const get = async <T>(path: string) =>
  (await server.call('GET', `/api/v1${path}`, { token })).body as T;

beforeAll(async () => {
  peer.listen(0, '127.0.0.1');
  await once(peer, 'listening');
  const origin = `http://127.0.0.1:${(peer.address() as AddressInfo).port}`;
  server = await startTestServer({ SIGNALBOX_WEBHOOKS_TO: origin });
  token = await server.token('operator');
  const orphan = workflow(
    'orphan',
    {
      ...{ queue: 'nobody', sla: '300ms', onDeadline: [webhook(`${origin}/pager`), () => 1] },
      deadline: { after: '7d', from: 'logical-date', onMiss: 'cancel' },
    },
    (w) => {
      w.task('load', { deadline: { after: '10m', from: 'started' } }, () => null);
    },
  );
  const registered = await server.call('POST', '/api/v1/agent/register', {
    token: await server.token('agent'),
    body: {
      ...{ name: 'test', queues: ['elsewhere'], concurrency: 1, version: '1', fileErrors: [] },
      definitions: [orphan, ...(orphan.companions ?? [])].map(({ described }) => ({
        ...described,
        file: 'orphan.ts',
      })),
    },
  });
  expect(registered.body).toMatchObject({ sessionId: expect.any(String) });
  const run = await server.call('POST', '/api/v1/workflows/orphan/runs', { token, body: {} });
  runId = (run.body as { id: string }).id;
});

afterAll(async () => {
  peer.close();
  await server[Symbol.asyncDispose]();
});

const cli = (...args: string[]) => runCommand(server, token, args);

test('a missed deadline is noticed at its moment by what the server does in the background', async () => {
  const miss = await waitFor(async () => {
    const { items } = await get<List<Deadline>>('/deadlines?missed=open&workflow=orphan');
    return items[0];
  });
  expect(miss).toMatchObject({
    ...{ runId, taskKey: null, name: 'sla', onMiss: 'record', state: 'missed' },
    missed: { reason: 'no-agent', blockers: [{ kind: 'queue', name: 'nobody' }] },
  });
  const late = Date.parse(miss.missed?.noticedAt ?? '') - Date.parse(miss.dueAt);
  expect(late).toBeGreaterThanOrEqual(0);
  expect(late).toBeLessThan(5_000);
});

test('the address that is to be told of it is told, and the code waits for an agent', async () => {
  const event = await waitFor(() => got[0]);
  expect(event).toMatchObject({
    ...{ specversion: '1.0', type: 'dev.signalbox.run.deadline', subject: runId },
    data: { workflow: 'orphan', outcome: 'deadline', callback: 'onDeadline' },
  });
  const records = await waitFor(async () => {
    const { items } = await get<List<CallbackRecord>>(`/runs/${runId}/callbacks`);
    return items.some(({ state }) => state === 'succeeded') && items;
  });
  expect(records.map(({ kind, state }) => [kind, state]).sort()).toEqual([
    ['code', 'pending'],
    ['webhook', 'succeeded'],
  ]);
});

test('a run shows its deadlines, those to come as well, and lists take only what they know', async () => {
  const { items } = await get<List<Deadline>>(`/runs/${runId}/deadlines`);
  expect(items.map(({ name, taskKey, state }) => [name, taskKey, state])).toEqual([
    ['sla', null, 'missed'],
    ['deadline', 'load', 'pending'],
    ['deadline', null, 'pending'],
  ]);
  const pending = await get<List<Deadline>>('/deadlines?missed=false');
  expect(pending.items).toHaveLength(2);
  const status = async (path: string) =>
    (await server.call('GET', `/api/v1${path}`, { token })).status;
  expect(await status('/deadlines?missed=perhaps')).toBe(400);
  expect(await status('/deadlines?cursor=nonsense')).toBe(400);
  expect(await status('/runs/nothing/deadlines')).toBe(404);
  expect(await status('/runs/nothing/callbacks')).toBe(404);
});

test('the command line lists what was late and why, and the callbacks of a run', async () => {
  const late = await cli('deadlines', 'list', '--open');
  expect(late).toContain('orphan');
  expect(late).toContain('no agent serves its queue: nobody');
  const pending = JSON.parse(
    await cli('deadlines', 'list', '--pending', '--json'),
  ) as List<Deadline>;
  expect(pending.items.every(({ state }) => state === 'pending')).toBe(true);
  const callbacks = await cli('runs', 'callbacks', runId);
  expect(callbacks).toContain('onDeadline-2');
  expect(callbacks).toContain('http://127.0.0.1');
  expect(callbacks).not.toContain('pager');
});
