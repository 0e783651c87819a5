import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Need, ROLES, type Role, satisfies } from '../../server/auth/roles.ts';
import { startTestServer, type TestServer } from './running-server.ts';

/** The least role of every route; a route that is missing here fails the walk. */
const NEEDS: Record<string, Need> = {
  'GET /healthz': 'open',
  'GET /readyz': 'open',
  'GET /metrics': 'metrics',
  'POST /api/v1/auth/login': 'open',
  'POST /api/v1/auth/logout': 'any',
  'GET /api/v1/auth/me': 'any',
  'GET /api/v1/tokens': 'admin',
  'POST /api/v1/tokens': 'admin',
  'POST /api/v1/tokens/{name}/revoke': 'admin',
  'GET /api/v1/audit': 'operator',
  'GET /api/v1/retention': 'admin',
  'PUT /api/v1/retention': 'admin',
  'GET /api/v1/workflows': 'viewer',
  'GET /api/v1/workflow-errors': 'viewer',
  'GET /api/v1/workflows/{name}': 'viewer',
  'GET /api/v1/workflows/{name}/schedule': 'viewer',
  'GET /api/v1/workflows/{name}/expected-runs': 'viewer',
  'GET /api/v1/expected-runs': 'viewer',
  'GET /api/v1/overdue-runs': 'viewer',
  'POST /api/v1/workflows/{name}/pause': 'operator',
  'POST /api/v1/workflows/{name}/unpause': 'operator',
  'POST /api/v1/workflows/{name}/runs': 'operator',
  'POST /api/v1/workflows/{name}/runs/batch': 'operator',
  'GET /api/v1/runs': 'viewer',
  'GET /api/v1/runs/{id}': 'viewer',
  'GET /api/v1/runs/{id}/tasks': 'viewer',
  'GET /api/v1/runs/{id}/logs': 'viewer',
  'POST /api/v1/runs/{id}/cancel': 'operator',
  'POST /api/v1/runs/{id}/retry': 'operator',
  'POST /api/v1/runs/{id}/rerun': 'operator',
  'POST /api/v1/runs/{id}/clear': 'operator',
  'POST /api/v1/runs/{id}/mark': 'operator',
  'POST /api/v1/runs/{id}/pause': 'operator',
  'POST /api/v1/runs/{id}/resume': 'operator',
  'POST /api/v1/runs/clear': 'operator',
  'POST /api/v1/runs/cancel': 'operator',
  'GET /api/v1/runs/{id}/actions': 'viewer',
  'GET /api/v1/runs/{id}/tasks/{key}/attempts': 'viewer',
  'POST /api/v1/workflows/{name}/backfills': 'operator',
  'POST /api/v1/events/{name}': 'operator',
  'POST /api/v1/runs/{id}/events': 'operator',
  'GET /api/v1/inputs': 'viewer',
  'GET /api/v1/runs/{id}/inputs': 'viewer',
  'POST /api/v1/runs/{id}/inputs/{key}': 'operator',
  'GET /api/v1/deadlines': 'viewer',
  'GET /api/v1/runs/{id}/deadlines': 'viewer',
  'GET /api/v1/runs/{id}/callbacks': 'viewer',
  'GET /api/v1/sensors': 'viewer',
  'GET /api/v1/sensors/{name}': 'viewer',
  'POST /api/v1/sensors/{name}/events': 'operator',
  'POST /api/v1/sensors/{name}/pause': 'operator',
  'POST /api/v1/sensors/{name}/unpause': 'operator',
  'POST /api/v1/sensors/{name}/tick': 'operator',
  'PUT /api/v1/sensors/{name}/cursor': 'operator',
  'GET /api/v1/backfills': 'viewer',
  'GET /api/v1/backfills/{id}': 'viewer',
  'GET /api/v1/backfills/{id}/items': 'viewer',
  'POST /api/v1/backfills/{id}/cancel': 'operator',
  'POST /api/v1/backfills/{id}/pause': 'operator',
  'POST /api/v1/backfills/{id}/resume': 'operator',
  'GET /api/v1/assets': 'viewer',
  'GET /api/v1/assets/{key}': 'viewer',
  'GET /api/v1/assets/{key}/materializations': 'viewer',
  'GET /api/v1/assets/{key}/lineage': 'viewer',
  'GET /api/v1/assets/{key}/partitions': 'viewer',
  'GET /api/v1/assets/{key}/partitions/counts': 'viewer',
  'GET /api/v1/assets/{key}/impact': 'viewer',
  'GET /api/v1/partitions/{name}': 'viewer',
  'POST /api/v1/partitions/{name}': 'operator',
  'GET /api/v1/assets/{key}/checks': 'viewer',
  'GET /api/v1/assets/{key}/metadata': 'viewer',
  'GET /api/v1/assets/{key}/observations': 'viewer',
  'POST /api/v1/assets/{key}/checks': 'operator',
  'POST /api/v1/assets/{key}/observations': 'ingest',
  'POST /api/v1/assets/{key}/materializations': 'ingest',
  'PUT /api/v1/assets/{key}/policy': 'operator',
  'GET /api/v1/assets/{key}/automation': 'viewer',
  'GET /api/v1/assets/{key}/automation/evaluations': 'viewer',
  'POST /api/v1/assets/{key}/automation/pause': 'operator',
  'POST /api/v1/assets/{key}/automation/resume': 'operator',
  'GET /api/v1/automation': 'viewer',
  'POST /api/v1/automation/pause': 'operator',
  'POST /api/v1/automation/resume': 'operator',
  'POST /api/v1/assets/{key}/materialize': 'operator',
  'GET /api/v1/pools': 'viewer',
  'GET /api/v1/pools/{name}': 'viewer',
  'PUT /api/v1/pools/{name}': 'operator',
  'GET /api/v1/queues': 'viewer',
  'PUT /api/v1/queues/{name}': 'operator',
  'GET /api/v1/agents': 'viewer',
  'GET /api/v1/incidents': 'viewer',
  'GET /api/v1/incidents/{id}': 'viewer',
  'POST /api/v1/incidents/{id}/acknowledge': 'operator',
  'POST /api/v1/incidents/{id}/resolve': 'operator',
  'POST /api/v1/incidents/{id}/notes': 'operator',
  'GET /api/v1/runbooks': 'viewer',
  'PUT /api/v1/runbooks/{id}': 'admin',
  'POST /api/v1/runbooks/{id}/plan': 'operator',
  'POST /api/v1/runbooks/{id}/executions': 'operator',
  'GET /api/v1/executions/{id}': 'viewer',
  'POST /api/v1/executions/{id}/approve': 'operator',
  'POST /api/v1/executions/{id}/reject': 'operator',
  'GET /api/v1/kill-switch': 'viewer',
  'PUT /api/v1/kill-switch': 'operator',
  'GET /api/v1/detectors': 'viewer',
  'PUT /api/v1/detectors/{id}': 'operator',
  'POST /api/v1/detectors/{id}/backtest': 'viewer',
  'POST /api/v1/lineage': 'ingest',
  'POST /api/v1/query': 'viewer',
  'GET /api/v1/environments': 'viewer',
  'GET /api/v1/environments/{name}': 'viewer',
  'GET /api/v1/environments/{name}/diff': 'viewer',
  'POST /api/v1/environments': 'operator',
  'DELETE /api/v1/environments/{name}': 'operator',
  'GET /api/v1/events': 'viewer',
  'GET /api/v1/agent/settings': 'agent',
  'POST /api/v1/agent/register': 'agent',
  'POST /api/v1/agent/{sessionId}/heartbeat': 'agent',
  'POST /api/v1/agent/{sessionId}/stop': 'agent',
  'POST /api/v1/agent/{sessionId}/claim': 'agent',
  'POST /api/v1/agent/{sessionId}/complete': 'agent',
  'POST /api/v1/agent/{sessionId}/steps': 'agent',
  'POST /api/v1/agent/{sessionId}/logs': 'agent',
  'POST /api/v1/agent/{sessionId}/once': 'agent',
  'POST /api/v1/agent/{sessionId}/runs': 'agent',
  'POST /api/v1/agent/{sessionId}/looks': 'agent',
  'POST /api/v1/agent/{sessionId}/looks/complete': 'agent',
  'POST /api/v1/agent/{sessionId}/waits': 'agent',
  'POST /api/v1/agent/{sessionId}/suspend': 'agent',
  'POST /api/v1/agent/{sessionId}/died': 'agent',
  'POST /api/v1/agent/{sessionId}/events': 'agent',
  'GET /api/v1/agent/{sessionId}/results/{runId}/{taskKey}': 'agent',
  'GET /api/v1/agent/{sessionId}/steps/{runId}': 'agent',
  'GET /api/v1/agent/{sessionId}/runs/{runId}': 'agent',
  'GET /api/v1/agent/{sessionId}/assets/{key}': 'agent',
  'GET /api/v1/agent/{sessionId}/assets/{key}/history': 'agent',
  'GET /api/v1/agent/{sessionId}/assets/{key}/for/{runId}/{taskKey}': 'agent',
  'POST /api/v1/agent/{sessionId}/partitions': 'agent',
  'PUT /api/v1/agent/{sessionId}/blobs/{runId}/{name}': 'agent',
  'GET /api/v1/agent/{sessionId}/blobs/{runId}/{name}': 'agent',
  'POST /api/v1/agent/{sessionId}/cache': 'agent',
  'POST /api/v1/agent/{sessionId}/artifacts': 'agent',
  'GET /api/v1/runs/{id}/artifacts': 'viewer',
  'GET /api/v1/runs/{id}/tasks/{key}/result': 'viewer',
  'GET /api/v1/artifacts': 'viewer',
  'GET /api/v1/artifacts/{id}': 'viewer',
  'GET /api/v1/artifacts/{id}/content': 'viewer',
  'POST /api/v1/workflows/{name}/cache/clear': 'operator',
};

let test: TestServer;
let routes: string[];
const tokens = new Map<Role, string>();

beforeAll(async () => {
  test = await startTestServer();
  for (const role of ROLES) tokens.set(role, await test.token(role));
  const { body } = await test.call('GET', '/api/openapi.json', {
    token: tokens.get('viewer') ?? '',
  });
  const { paths } = body as { paths: Record<string, Record<string, unknown>> };
  routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
});

afterAll(() => test[Symbol.asyncDispose]());

/** Status of a call that is refused, or at least answered. A stream's answer is its head. */
async function statusOf(route: string, token?: string): Promise<number> {
  const [method = '', template = ''] = route.split(' ');
  const abort = new AbortController();
  const response = await fetch(test.url + template.replaceAll(/\{\w+\}/g, 'none'), {
    method,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    signal: abort.signal,
  });
  abort.abort();
  return response.status;
}

describe('access', () => {
  it('is decided for every route that exists', () => {
    expect(routes.sort()).toEqual(Object.keys(NEEDS).sort());
  });

  it('is refused to whoever has no token, and to a token that nobody made', async () => {
    for (const [route, need] of Object.entries(NEEDS)) {
      if (need === 'open') {
        expect([route, await statusOf(route)]).not.toContain(403);
        continue;
      }
      expect([route, await statusOf(route)]).toEqual([route, 401]);
      expect([route, await statusOf(route, 'sbx_invented')]).toEqual([route, 401]);
    }
  });

  it.each(ROLES)('of %s goes as far as the route allows and no further', async (role) => {
    for (const [route, need] of Object.entries(NEEDS)) {
      if (need === 'open' || route.endsWith('/logout')) continue;
      const status = await statusOf(route, tokens.get(role));
      const refused = status === 401 || status === 403;
      expect([role, route, refused]).toEqual([role, route, !satisfies(role, need)]);
    }
  });

  it('lets an admin do everything and nobody else all of it', () => {
    const all = [...new Set(Object.values(NEEDS))];
    for (const role of ROLES) {
      expect([role, all.every((need) => satisfies(role, need))]).toEqual([role, role === 'admin']);
    }
  });

  it('ends with the token, within the time that answers are kept', async () => {
    const { credentials } = test.server.parts;
    const { token } = await credentials.createToken('short-lived', 'viewer', 'test');
    expect(await statusOf('GET /api/v1/runs', token)).toBe(200);
    await credentials.revokeToken('short-lived');
    expect(await statusOf('GET /api/v1/runs', token)).toBe(401);
  });

  it('to the OTLP receiver is for those who send telemetry', async () => {
    const otlp = test.server.otlpUrl;
    const send = (token?: string) =>
      fetch(`${otlp}/v1/traces`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        body: '{"resourceSpans":[]}',
      }).then(({ status }) => status);
    expect(await send()).toBe(401);
    expect(await send(tokens.get('viewer'))).toBe(403);
    for (const role of ['ingest', 'agent', 'admin'] as const) {
      expect([role, await send(tokens.get(role))]).toEqual([role, 200]);
    }
  });
});
