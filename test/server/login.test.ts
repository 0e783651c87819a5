import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from './running-server.ts';

let test: TestServer;

beforeAll(async () => {
  test = await startTestServer();
});
afterAll(() => test[Symbol.asyncDispose]());

const login = (body: object) => test.call('POST', '/api/v1/auth/login', { body });

async function sessionCookie(body: object): Promise<string> {
  const { headers } = await login(body);
  return headers.get('set-cookie')?.split(';')[0] ?? '';
}

describe('the login of the console', () => {
  it('opens one session for a code, and none the second time', async () => {
    const { credentials } = test.server.parts;
    const code = await credentials.createLoginCode({ name: 'admin', role: 'admin' });
    const first = await login({ code });
    expect(first.body).toEqual({ name: 'admin', role: 'admin', actor: 'token:admin' });
    expect(first.headers.get('set-cookie')).toMatch(/; HttpOnly; SameSite=Strict$/);
    const second = await login({ code });
    expect(second).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
  });

  it('takes a token, and acts as that token from then on', async () => {
    const token = await test.token('viewer');
    const cookie = await sessionCookie({ token });
    const me = await test.call('GET', '/api/v1/auth/me', { headers: { cookie } });
    expect(me.body).toMatchObject({
      role: 'viewer',
      actor: expect.stringMatching(/^token:viewer-/),
    });
  });

  it('refuses anything but one of code and token', async () => {
    const both = await login({ code: 'x'.repeat(20), token: 'y'.repeat(20) });
    expect(both).toMatchObject({ status: 400, body: { code: 'invalid-request' } });
    expect(await login({})).toMatchObject({ status: 400 });
    expect(await login({ token: 'sbx_not-a-token' })).toMatchObject({ status: 401 });
  });

  it('lets a cookie write only from the page of the same origin', async () => {
    const cookie = await sessionCookie({ token: await test.token('operator') });
    const put = (headers: Record<string, string>) =>
      test.call('PUT', '/api/v1/pools/seats', {
        body: { max: 3 },
        headers: { cookie, ...headers },
      });
    expect((await put({})).status).toBe(403);
    expect((await put({ origin: 'http://evil.example' })).status).toBe(403);
    expect((await put({ origin: test.url })).status).toBe(200);
  });

  it('ends with a logout', async () => {
    const cookie = await sessionCookie({ token: await test.token('viewer') });
    const headers = { cookie, origin: test.url };
    expect((await test.call('POST', '/api/v1/auth/logout', { headers })).status).toBe(204);
    expect((await test.call('GET', '/api/v1/auth/me', { headers })).status).toBe(401);
  });

  it('leaves a row in the audit trail for each write, refused ones too', async () => {
    const admin = await test.token('admin');
    const viewer = await test.token('viewer');
    await test.call('PUT', '/api/v1/pools/audited', { token: admin, body: { max: 3 } });
    await test.call('PUT', '/api/v1/pools/audited', { token: viewer, body: { max: 4 } });
    const { body } = await test.call('GET', '/api/v1/audit?limit=2', { token: admin });
    expect(body).toMatchObject({
      items: [
        { role: 'viewer', action: 'PUT /api/v1/pools/:name', outcome: 'forbidden', status: 403 },
        {
          actor: expect.stringMatching(/^token:admin-/),
          subject: '/api/v1/pools/audited',
          outcome: 'ok',
          status: 200,
        },
      ],
      nextCursor: expect.any(String),
    });
  });

  it('is refused to who tries too often', async () => {
    let status = 0;
    for (let tries = 0; tries < 40 && status !== 429; tries += 1) {
      ({ status } = await login({ token: 'sbx_guess-guess' }));
    }
    expect(status).toBe(429);
  });
});
