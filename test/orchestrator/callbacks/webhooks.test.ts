import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { flow, webhook } from 'signalbox';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../domain/time.ts';
import { isAllowed } from '../../../orchestrator/callbacks/cloud-event.ts';
import { createOrchestrator } from '../../../orchestrator/create.ts';
import type { Orchestrator } from '../../../orchestrator/service.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';

interface Got {
  readonly path: string;
  readonly type: string;
  readonly body: Record<string, unknown>;
}

let peer: Server;
let origin: string;
let got: Got[] = [];
/** What the next requests are answered; 204 when none is left, 'never' leaves one open. */
let answers: (number | 'never')[] = [];
let agents: AgentStand;
let servers: Orchestrator[] = [];

beforeEach(async () => {
  [got, answers, servers] = [[], [], []];
  peer = createServer(async (request, response) => {
    const body = JSON.parse(await text(request)) as Record<string, unknown>;
    got.push({ path: request.url ?? '', type: request.headers['content-type'] ?? '', body });
    const answer = answers.shift() ?? 204;
    if (answer === 'never') return;
    response.writeHead(answer, answer === 307 ? { location: '/elsewhere' } : {}).end();
  });
  peer.listen(0, '127.0.0.1');
  await once(peer, 'listening');
  origin = `http://127.0.0.1:${(peer.address() as AddressInfo).port}`;
  agents = await startAgentStand();
});

afterEach(async () => {
  for (const server of servers) await server.close();
  await agents[Symbol.asyncDispose]();
  peer.closeAllConnections();
  peer.close();
});

async function serverThatSends(webhooksTo: readonly string[]): Promise<Orchestrator> {
  const server = await createOrchestrator({
    ...{ databaseUrl: agents.stand.postgres.url, clock: systemClock, log: () => undefined },
    ...{ poolSize: 8, webhooksTo },
  });
  servers.push(server);
  return server;
}

const runStep = (server: Orchestrator, name: string) =>
  server.reconcilers.find((one) => one.name === name)?.run() ?? Promise.reject(new Error(name));

/** Runs a flow that tells the peer of its end. */
async function told(path = '/hooks/x?secret=1'): Promise<string> {
  const alarm = flow('alarm', { onSuccess: webhook(`${origin}${path}`) }, () => 1);
  await agents.start([alarm]);
  const run = await agents.run('alarm');
  return run.id;
}

/** Sends until the one callback is over. */
function sent(server: Orchestrator, runId: string) {
  return waitFor(async () => {
    await runStep(server, 'callbacks');
    await runStep(server, 'webhooks');
    const [record] = await server.callbacks.ofRun(runId);
    return record && record.endedAt !== null && record;
  });
}

describe('a webhook', () => {
  it('is sent as a CloudEvent, again where that fails, and is the same event each time', async () => {
    const server = await serverThatSends([`${origin}/hooks/`]);
    answers = [503, 429];
    const runId = await told();
    const record = await sent(server, runId);
    expect(record).toMatchObject({ kind: 'webhook', state: 'succeeded', attempts: 3, error: null });
    expect(record.url).toBe(origin);
    expect(got).toHaveLength(3);
    expect(new Set(got.map(({ body }) => body['id'])).size).toBe(1);
    expect(got[0]).toMatchObject({
      path: '/hooks/x?secret=1',
      type: 'application/cloudevents+json; charset=utf-8',
      body: {
        ...{ specversion: '1.0', type: 'dev.signalbox.run.succeeded', subject: runId },
        ...{ source: '/workflows/alarm', id: record.key, datacontenttype: 'application/json' },
        data: { workflow: 'alarm', runId, outcome: 'succeeded', callback: 'onSuccess' },
      },
    });
  });

  it('is given up where the peer refuses it, or sends it elsewhere', async () => {
    const server = await serverThatSends([origin]);
    answers = [307];
    const record = await sent(server, await told());
    expect(record).toMatchObject({ state: 'failed', attempts: 1, error: 'it was answered 307' });
    expect(got.map(({ path }) => path)).toEqual(['/hooks/x?secret=1']);
  });

  it('is not sent to an address that the settings do not allow, and says so', async () => {
    const server = await serverThatSends([`${origin}/other`]);
    const record = await sent(server, await told());
    expect(record.state).toBe('failed');
    expect(record.error).toBe(`${origin} is not among the addresses of SIGNALBOX_WEBHOOKS_TO`);
    expect(record.error).not.toContain('secret');
    expect(got).toEqual([]);
  });

  it('is sent by another server where one ends in the middle of it', async () => {
    const [first, second] = [await serverThatSends([origin]), await serverThatSends([origin])];
    answers = ['never'];
    const runId = await told();
    await waitFor(async () => {
      await runStep(first, 'callbacks');
      return (await first.callbacks.ofRun(runId)).length === 1;
    });
    const sending = runStep(first, 'webhooks');
    await waitFor(() => got.length === 1);
    // While it is taken, nobody else sends it.
    await runStep(second, 'webhooks');
    expect(got).toHaveLength(1);
    await first.close();
    await sending;
    servers = [second];
    await agents.stand.sql('UPDATE signalbox.callback SET next_at = now()');
    expect(await sent(second, runId)).toMatchObject({ state: 'succeeded', attempts: 2 });
    expect(got[1]?.body['id']).toBe(got[0]?.body['id']);
  });
});

describe('an address is allowed', () => {
  it('where it is one of the settings or below it, never by a part of a name', () => {
    const allowed = ['https://hooks.example.com/team', 'http://127.0.0.1:9000'];
    const cases: readonly (readonly [string, boolean])[] = [
      ['https://hooks.example.com/team', true],
      ['https://hooks.example.com/team/a?b=c', true],
      ['https://hooks.example.com/teams', false],
      ['https://hooks.example.com/team/../other', false],
      ['https://hooks.example.com.evil.org/team', false],
      ['https://hooks.example.com@evil.org/team', false],
      ['http://hooks.example.com/team', false],
      ['http://127.0.0.1:9000/x', true],
      ['http://127.0.0.1:90001/x', false],
    ];
    for (const [url, expected] of cases) {
      expect([url, URL.canParse(url) && isAllowed(url, allowed)]).toEqual([url, expected]);
    }
  });
});
