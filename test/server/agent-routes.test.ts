import { Ajv } from 'ajv';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type {
  ClaimReply,
  CompleteReply,
  HeartbeatReply,
  RegisterReply,
  RegisterRequest,
} from '../../domain/agent-protocol.ts';
import type { Run } from '../../domain/run.ts';
import { waitFor } from '../support/wait-for.ts';
import { startTestServer, type TestServer } from './running-server.ts';

let test: TestServer;
let agentToken: string;
let adminToken: string;
let session: RegisterReply;

const REGISTER: RegisterRequest = {
  name: 'tester',
  queues: ['default'],
  concurrency: 4,
  version: '1',
  fileErrors: [{ file: 'broken.ts', message: 'does not parse' }],
  definitions: [
    {
      ...{ name: 'two-steps', kind: 'workflow', file: 'two-steps.ts', tags: [], owners: [] },
      ...{ schedule: null, parameters: null, queue: 'default', maxActiveRuns: null, asset: null },
      tasks: ['first', 'second'].map((key, index) => ({
        ...{ key, after: index === 0 ? [] : ['first'], retries: 0, retryDelayMs: 0 },
        ...{ retryBackoff: 1, retryMaxDelayMs: 0, timeoutMs: null, pool: null, poolSlots: 1 },
        ...{ priority: 0, idempotent: true },
      })),
    },
  ],
};

beforeAll(async () => {
  test = await startTestServer();
  agentToken = await test.token('agent');
  adminToken = await test.token('admin');
  session = (await agent<RegisterReply>('/register', REGISTER)) ?? session;
});
afterAll(() => test[Symbol.asyncDispose]());

async function agent<T>(path: string, body: object): Promise<T> {
  const answer = await test.call('POST', `/api/v1/agent${path}`, { token: agentToken, body });
  expect([path, answer.status, answer.body]).toMatchObject([
    path,
    expect.toBeOneOf([200, 204]),
    {},
  ]);
  return answer.body as T;
}

async function get<T>(path: string): Promise<T> {
  const answer = await test.call('GET', `/api/v1${path}`, { token: adminToken });
  expect([path, answer.status]).toEqual([path, 200]);
  return answer.body as T;
}

const say = (path: string, body: object) => agent(`/${session.sessionId}${path}`, body);

describe('the routes of agents', () => {
  it('carry a run from its start over claims, logs and completions to its end', async () => {
    const trigger = { token: adminToken, body: { idempotencyKey: 'once' } };
    const path = '/api/v1/workflows/two-steps/runs';
    const first = await test.call('POST', path, trigger);
    const second = await test.call('POST', path, trigger);
    expect([first.status, second.status]).toEqual([201, 200]);
    const run = first.body as Run;
    expect(second.body).toMatchObject({ id: run.id });

    const claim = await agent<ClaimReply>(`/${session.sessionId}/claim`, {
      capacity: 1,
      waitMs: 5_000,
    });
    expect(claim.assignments).toMatchObject([{ runId: run.id, taskKey: 'first' }]);
    const now = Date.now();
    const completionOf = (taskKey: string, token: string | undefined) => ({
      ...{ runId: run.id, taskKey, token: token ?? '', state: 'succeeded', result: { rows: 3 } },
      ...{ startedAt: now, finishedAt: now },
    });
    const line = { runId: run.id, taskKey: 'first', attempt: 1, at: now, level: 'info' } as const;
    await say('/logs', { lines: [{ ...line, message: 'hello', attributes: {} }], dropped: 0 });
    const handedOn = await agent<CompleteReply>(`/${session.sessionId}/complete`, {
      completions: [completionOf('first', claim.assignments[0]?.token)],
      take: 1,
    });
    expect(handedOn).toMatchObject({
      outcomes: [{ outcome: 'recorded' }],
      assignments: [{ runId: run.id, taskKey: 'second' }],
    });
    await say('/complete', {
      completions: [completionOf('second', handedOn.assignments[0]?.token)],
      take: 0,
    });
    await waitFor(async () => (await get<Run>(`/runs/${run.id}`)).state === 'succeeded');
    const { items } = await get<{ items: object[] }>(`/runs/${run.id}/logs`);
    const at = new Date(now).toISOString();
    expect(items).toMatchObject([{ message: 'hello', taskKey: 'first', at }]);
  });

  it('tell from the registration on that an agent lives', async () => {
    const sql = `SELECT name, state FROM signalbox.heartbeats WHERE id = '${session.sessionId}'`;
    const ask = { token: adminToken, body: { sql } };
    const seen = async () => {
      const { body } = await test.call('POST', '/api/v1/query', ask);
      return (body as { rows: object[] }).rows[0];
    };
    expect(await waitFor(seen)).toEqual({ name: expect.any(String), state: 'online' });
  });

  it('hand heartbeats and pools on to ClickHouse', async () => {
    const pool = { name: 'orders', kind: 'postgres-client', server: null, timeouts: 0 };
    const beat = await agent<HeartbeatReply>(`/${session.sessionId}/heartbeat`, {
      running: 0,
      pools: [{ ...pool, used: 3, idle: 1, waiting: 0, max: 10 }],
      tokens: [],
    });
    expect(beat.sessionValid).toBe(true);
    const seen = async () => {
      const { items } = await get<{ items: { name: string; used: number }[] }>('/pools');
      return items.find(({ name }) => name === 'orders');
    };
    expect(await waitFor(seen)).toMatchObject({ kind: 'postgres-client', used: 3, max: 10 });
  });

  it('leave lists that are as the OpenAPI document says', conforms);

  it('answer a waiting claim at once when the server ends', async () => {
    const waiting = agent<ClaimReply>(`/${session.sessionId}/claim`, {
      capacity: 1,
      waitMs: 30_000,
    });
    // The claim is there before the end begins: calls of one client are answered in turn.
    await get('/agents');
    const startedAt = performance.now();
    await test.server.stop();
    expect(await waiting).toEqual({ assignments: [] });
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });
});

async function conforms(): Promise<void> {
  const { body } = await test.call('GET', '/api/openapi.json', { token: adminToken });
  const document = body as { components: { schemas: Record<string, object> } };
  const ajv = new Ajv({ strict: false, formats: { 'date-time': true } });
  ajv.addSchema(document, 'api');
  const lists = {
    '/workflows': 'Workflow',
    '/runs': 'Run',
    '/pools': 'Pool',
    '/queues': 'Queue',
    '/agents': 'Agent',
    '/detectors': 'Detector',
    '/runbooks': 'Runbook',
    '/audit': 'AuditEntry',
    '/tokens': 'Token',
  };
  for (const [path, name] of Object.entries(lists)) {
    const validate = ajv.compile({ $ref: `api#/components/schemas/${name}` });
    const { items } = await get<{ items: object[] }>(path);
    expect([path, items.length > 0]).toEqual([path, true]);
    for (const item of items) {
      validate(item);
      expect([path, validate.errors]).toEqual([path, null]);
    }
  }
}
