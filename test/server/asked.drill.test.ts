/** Backfills, sensors, events and inputs as programs and people use them: over HTTP, with agents as processes. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backfill, BackfillPlan } from '../../domain/backfill.ts';
import type { Run } from '../../domain/run.ts';
import type { Sensor } from '../../domain/sensor.ts';
import type { EventReceipt, RunInput } from '../../domain/wait.ts';
import { startProcess, type TestProcess } from '../support/child-process.ts';
import { makeTempDir, type TempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';
import { startTestServer, type TestServer } from './running-server.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const MAIN = join(ROOT, 'server', 'cli', 'main.ts');
const EXAMPLES = join(ROOT, 'examples');

let test: TestServer;
let operator: string;
let viewer: string;
let agentToken: string;
let inbox: TempDir;
const agents: TestProcess[] = [];

beforeAll(async () => {
  test = await startTestServer({ SIGNALBOX_LEASE: '1s' });
  [operator, viewer, agentToken] = await Promise.all([
    test.token('operator'),
    test.token('viewer'),
    test.token('agent'),
  ]);
  inbox = await makeTempDir('inbox');
  startAgent('first');
  await waitFor(async () => (await get<Sensor>('/sensors/supplier-files')).name, {
    ...{ what: 'the registration', timeoutMs: 60_000 },
  });
});

afterAll(async () => {
  for (const agent of agents) await agent[Symbol.asyncDispose]();
  await test[Symbol.asyncDispose]();
  await inbox.remove();
});

function startAgent(name: string): TestProcess {
  const agent = startProcess(
    process.execPath,
    [MAIN, 'agent', '--url', test.url, '--name', name, '--workflows', EXAMPLES],
    { cwd: inbox.path, env: { SIGNALBOX_TOKEN: agentToken, EXAMPLE_INBOX: inbox.path } },
  );
  agents.push(agent);
  return agent;
}

/** A command of the command line. */
async function run(...args: readonly string[]) {
  await using program = startProcess(process.execPath, [MAIN, ...args], {
    cwd: inbox.path,
    env: { NO_COLOR: '1', SIGNALBOX_URL: test.url, SIGNALBOX_TOKEN: operator },
  });
  const code = await program.waitForExit();
  return { code, stdout: program.stdout(), stderr: program.stderr() };
}

async function get<T>(path: string): Promise<T> {
  return (await test.call('GET', `/api/v1${path}`, { token: viewer })).body as T;
}

async function post<T>(path: string, body: unknown) {
  const { status, body: answer } = await test.call('POST', `/api/v1${path}`, {
    ...{ token: operator, body },
  });
  return { status, body: answer as T };
}

const runsOf = async (workflow: string) =>
  (await get<{ items: Run[] }>(`/runs?workflow=${workflow}`)).items;

describe('a backfill by the API and the command line', () => {
  const range = { from: '2026-01-01', to: '2026-01-05' };

  it('shows what it would do, does it, and shows what is there then', async () => {
    const path = '/workflows/daily-orders/backfills';
    const plan = await post<BackfillPlan>(path, { ...range, dryRun: true });
    expect(plan).toMatchObject({ status: 200, body: { toRun: 5, toSkip: 0 } });
    const wrong = await post(path, { ...range, to: 'tomorrow' });
    expect(wrong).toMatchObject({ status: 400, body: { code: 'invalid-time' } });
    const done = await run(
      ...['backfill', 'daily-orders', '--from', range.from, '--to', range.to],
      ...['--concurrency', '2', '--wait', '--json'],
    );
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(done.stdout)).toMatchObject({ state: 'succeeded', counts: { succeeded: 5 } });
    const again = await run(
      ...['backfill', 'daily-orders', '--from', range.from, '--to', range.to, '--dry-run'],
    );
    expect(again.stdout).toContain('0 to run, 5 to skip');
    const list = await run('backfill', 'list');
    expect(list.stdout).toMatch(/daily-orders\s+succeeded .* 5\/5/);
    expect((await get<{ items: Backfill[] }>('/backfills?state=succeeded')).items).toHaveLength(1);
    expect(await run('backfill', 'daily-orders', '--from', 'x', '--to', 'y')).toMatchObject({
      code: 2,
    });
  });
});

describe('a sensor whose flow waits for a person', () => {
  it('goes on after its agent was killed, once a person has answered', async () => {
    await writeFile(join(inbox.path, '2026-01-01.csv'), 'a\n'.repeat(2_000));
    await writeFile(join(inbox.path, '2026-01-02.csv'), 'a\n'.repeat(10));
    await post('/sensors/supplier-files/tick', {});
    const asked = await waitFor(
      async () => (await get<{ items: RunInput[] }>('/inputs')).items[0],
      { what: 'the question', timeoutMs: 60_000 },
    );
    expect(asked.message).toMatch(/2026-01-01.csv has 2000 rows/);
    await agents[0]?.stop('SIGKILL');
    const wrong = await post(`/runs/${asked.runId}/inputs/odd-size`, { value: { load: 'maybe' } });
    expect(wrong).toMatchObject({ status: 400, body: { code: 'invalid-parameters' } });
    const answered = await run(
      'runs',
      'input',
      asked.runId,
      'odd-size',
      '--value',
      '{"load":true}',
    );
    expect(answered).toMatchObject({ code: 0, stdout: expect.stringContaining('was given') });
    startAgent('second');
    await waitFor(
      async () => (await runsOf('load-supplier-file')).every(({ state }) => state === 'succeeded'),
      { what: 'both files to be loaded', timeoutMs: 60_000 },
    );
    expect(await runsOf('load-supplier-file')).toHaveLength(2);
    await waitFor(
      async () =>
        (await runsOf('supplier-report')).filter(({ state }) => state === 'succeeded').length === 2,
      { what: 'a report for each', timeoutMs: 60_000 },
    );
    const shown = await run('sensors', 'show', 'supplier-files', '--json');
    expect(JSON.parse(shown.stdout)).toMatchObject({ cursor: '2026-01-02.csv', failures: 0 });
  });
});

describe('an event by the API', () => {
  it('is kept for runs that come to wait for it, and sent once under its key', async () => {
    const event = { correlation: 'a', body: { n: 1 }, idempotencyKey: 'k' };
    const first = await post<EventReceipt>('/events/order-paid', event);
    expect(first).toMatchObject({ status: 201, body: { created: true, woke: [] } });
    expect(await post('/events/order-paid', event)).toMatchObject({ status: 200 });
    const cli = await run('events', 'send', 'order-paid', '--body', '{"n":2}');
    expect(cli.stdout).toMatch(/is kept for runs that come to wait for it/);
    expect(await post('/sensors/none/events', {})).toMatchObject({ status: 404 });
  });
});
