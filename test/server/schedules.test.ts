import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ExpectedRun, SchedulePreview } from '../../domain/schedule.ts';
import { workflow } from '../../orchestrator/index.ts';
import { waitFor } from '../support/wait-for.ts';
import { runCommand } from './command-line.ts';
import { startTestServer, type TestServer } from './running-server.ts';

const nightly = workflow(
  'nightly',
  {
    ...{ schedule: '30 2 * * *', timezone: 'Europe/Berlin', startDate: '2099-03-27', jitter: '5m' },
    ...{ overlap: 'skip', catchup: { atMost: 3 }, dst: { duplicate: 'last' }, dependsOnPast: true },
  },
  (w) => {
    w.task('one', {}, async () => null);
  },
);
const ticking = workflow(
  'ticking',
  { schedule: ['* * * * * *', { every: '1h' }], overlap: { policy: 'queue', atMost: 1 } },
  (w) => {
    w.task('one', {}, async () => null);
  },
);

let server: TestServer;
let token: string;

beforeAll(async () => {
  server = await startTestServer();
  token = await server.token('viewer');
  // As an agent does it: over HTTP, so that nothing is lost on the way.
  const registered = await server.call('POST', '/api/v1/agent/register', {
    token: await server.token('agent'),
    body: {
      ...{ name: 'test', queues: ['elsewhere'], concurrency: 1, version: '1', fileErrors: [] },
      definitions: [nightly, ticking].map(({ described }) => ({ ...described, file: 'test.ts' })),
    },
  });
  expect(registered.body).toMatchObject({ sessionId: expect.any(String) });
});

afterAll(() => server[Symbol.asyncDispose]());

const cli = (...args: string[]) => runCommand(server, token, args);

test('the API tells a schedule with its policies, and its next runs on the clocks of its timezone', async () => {
  const path = '/api/v1/workflows/nightly/schedule?count=3';
  const { status, body } = await server.call('GET', path, { token });
  expect(status).toBe(200);
  const preview = body as SchedulePreview;
  expect(preview.schedule).toEqual(nightly.described.schedule);
  expect(preview.upcoming.map(({ local }) => local)).toEqual([
    '2099-03-28 02:30 +01:00',
    '2099-03-29 03:30 +02:00',
    '2099-03-30 02:30 +02:00',
  ]);
  for (const run of preview.upcoming) {
    const lateMs = Date.parse(run.dueAt) - Date.parse(run.dataInterval.end);
    expect(lateMs).toBeGreaterThanOrEqual(0);
    expect(lateMs).toBeLessThanOrEqual(300_000);
  }
  const shown = await server.call('GET', '/api/v1/workflows/nightly', { token });
  expect((shown.body as SchedulePreview).schedule).toEqual(nightly.described.schedule);
  const none = await server.call('GET', '/api/v1/workflows/none/schedule', { token });
  expect(none.status).toBe(404);
  const wrong = await server.call('GET', '/api/v1/workflows/nightly/schedule?count=0', { token });
  expect(wrong.status).toBe(400);
});

test('the API tells what became of runs that were due, of one workflow and of all', async () => {
  const skipped = await waitFor(async () => {
    const path = '/api/v1/workflows/ticking/expected-runs?outcome=skipped';
    const { body } = await server.call('GET', path, { token });
    const { items } = body as { items: ExpectedRun[] };
    return items.length >= 2 && items;
  });
  const [newest] = skipped;
  expect(newest).toMatchObject({ outcome: 'skipped', reason: 'queue-full' });
  const run = await server.call('GET', `/api/v1/runs/${newest?.runId}`, { token });
  expect(run.body).toMatchObject({ state: 'skipped', error: { name: 'queue-full' } });
  const all = await server.call('GET', '/api/v1/expected-runs?limit=1', { token });
  expect(all.body).toMatchObject({
    items: [{ workflow: 'ticking' }],
    nextCursor: expect.any(String),
  });
  const overdue = await server.call('GET', '/api/v1/overdue-runs?grace=30s', { token });
  expect(overdue).toMatchObject({ status: 200, body: { items: [] } });
  const wrong = await server.call('GET', '/api/v1/expected-runs?outcome=lost', { token });
  expect(wrong.status).toBe(400);
});

test('an agent whose schedule has an interval that is too short is refused', async () => {
  const definition = {
    ...ticking.described,
    file: 'test.ts',
    schedule: {
      ...{ cron: 'every 1ms', timezone: 'UTC', catchup: false },
      schedules: [{ everyMs: 1, anchor: '2000-01-03T00:00:00.000Z' }],
    },
  };
  const { status } = await server.call('POST', '/api/v1/agent/register', {
    token: await server.token('agent'),
    body: {
      ...{ name: 'test', queues: ['elsewhere'], concurrency: 1, version: '1', fileErrors: [] },
      definitions: [definition],
    },
  });
  expect(status).toBe(400);
});

test('the command line prints the next runs in the workflow’s timezone and in UTC, and the policies', async () => {
  const next = await cli('workflows', 'next', 'nightly', '--count', '2');
  expect(next).toContain('nightly: 30 2 * * * Europe/Berlin');
  expect(next).toMatch(/2099-03-28 02:30 \+01:00 +2099-03-28 01:3\d:\d\d +2099-03-27 01:30:00/);
  expect(next).toMatch(/2099-03-29 03:30 \+02:00/);
  const shown = await cli('workflows', 'show', 'nightly');
  expect(shown).toMatch(/starts +2099-03-26 23:00:00/);
  expect(shown).toMatch(/catchup +the newest 3 at most/);
  expect(shown).toMatch(/jitter +5m/);
  expect(shown).toMatch(/clock changes +missing shift, duplicate last/);
  expect(shown).toMatch(/overlap +skip/);
  expect(shown).toMatch(/depends on past +waits until/);
  const expected = await cli('workflows', 'expected', 'ticking', '--limit', '50');
  expect(expected).toMatch(/skipped +queue-full/);
});
