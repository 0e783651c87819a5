/** What a run logged, as HTTP and the command line show it. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type {
  Assignment,
  ClaimReply,
  LogLine,
  RegisterReply,
  ShownLogLine,
} from '../../domain/agent-protocol.ts';
import type { Run } from '../../domain/run.ts';
import { taskOf, workflowOf } from '../orchestrator/definitions.ts';
import { startProcess, type TestProcess } from '../support/child-process.ts';
import { waitFor } from '../support/wait-for.ts';
import { startTestServer, type TestServer } from './running-server.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'server', 'cli', 'main.ts');
const SAID = [
  ['extract', 1, 'debug', 'asks for page 1'],
  ['extract', 1, 'info', 'read 100 rows'],
  ['extract', 1, 'warn', 'page 2 is slow'],
  ['extract', 1, 'error', 'page 2: timed out'],
  ['extract', 2, 'info', 'read 200 rows'],
  ['extract', 2, 'warn', '50% of the rows are new'],
] as const;

let test: TestServer;
let token: string;
let agentToken: string;
let sessionId: string;
let runId: string;
let last: Assignment;
let at = Date.now();

beforeAll(async () => {
  test = await startTestServer();
  token = await test.token('operator');
  agentToken = await test.token('agent');
  const tasks = [
    taskOf('extract', { retries: 1, retryDelayMs: 0 }),
    taskOf('load', { after: ['extract'] }),
  ];
  ({ sessionId } = await agent<RegisterReply>('/register', {
    ...{ name: 'logs', queues: ['default'], concurrency: 1, version: '1', fileErrors: [] },
    definitions: [workflowOf('orders', { tasks })],
  }));
  const path = '/api/v1/workflows/orders/runs';
  runId = ((await test.call('POST', path, { token, body: {} })).body as Run).id;
  for (const attempt of [1, 2]) {
    const assignment = await claim();
    for (const [task, of, level, message] of SAID) {
      if (of === attempt) await log({ taskKey: task, attempt, level, message });
    }
    await complete(assignment, attempt === 1 ? 'failed' : 'succeeded');
  }
  last = await claim();
  await waitFor(async () => (await logs('')).length === SAID.length, { what: 'all lines' });
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

async function claim(): Promise<Assignment> {
  const request = { capacity: 1, waitMs: 5_000 };
  const [assignment] = (await agent<ClaimReply>(`/${sessionId}/claim`, request)).assignments;
  if (assignment === undefined) throw new Error('there was nothing to claim');
  return assignment;
}

async function complete({ taskKey, token: held }: Assignment, state: 'failed' | 'succeeded') {
  const error = { name: 'Error', message: 'page 2: timed out' };
  const end = { runId, taskKey, token: held, state, startedAt: at, finishedAt: at };
  const completion = state === 'failed' ? { ...end, error } : end;
  await agent(`/${sessionId}/complete`, { completions: [completion], take: 0 });
}

async function log(line: Pick<LogLine, 'taskKey' | 'attempt' | 'level' | 'message'>) {
  at += 10;
  const lines = [{ ...line, runId, at, attributes: {} }];
  await agent(`/${sessionId}/logs`, { lines, dropped: 0 });
}

/** Messages that `GET /runs/{id}/logs` answers. */
async function logs(query: string): Promise<string[]> {
  const path = `/api/v1/runs/${runId}/logs${query}`;
  const { status, body } = await test.call('GET', path, { token });
  expect([path, status]).toEqual([path, 200]);
  return (body as { items: ShownLogLine[] }).items.map(({ message }) => message);
}

function cli(...args: readonly string[]): TestProcess {
  return startProcess(process.execPath, [MAIN, 'runs', 'logs', runId, ...args], {
    env: { SIGNALBOX_URL: test.url, SIGNALBOX_TOKEN: token },
  });
}

async function shown(...args: readonly string[]): Promise<string[]> {
  await using program = cli('--json', ...args);
  expect(await program.waitForExit(), program.stderr()).toBe(0);
  const lines = program.stdout().trim().split('\n');
  return lines.filter((line) => line !== '').map((line) => (JSON.parse(line) as LogLine).message);
}

const messages = (wanted: (line: (typeof SAID)[number]) => boolean) =>
  SAID.filter(wanted).map(([, , , message]) => message);
const WORSE = messages(([, , level]) => level === 'warn' || level === 'error');

describe('GET /runs/{id}/logs', () => {
  it('keeps to an attempt, a level and what is worse, a text, and all of them together', async () => {
    expect(await logs('?attempt=1')).toEqual(messages(([, attempt]) => attempt === 1));
    expect(await logs('?attempt=3')).toEqual([]);
    expect(await logs('?level=warn')).toEqual(WORSE);
    expect(await logs('?level=error')).toEqual(['page 2: timed out']);
    expect(await logs('?search=page%202')).toEqual(['page 2 is slow', 'page 2: timed out']);
    expect(await logs('?attempt=1&level=warn&search=slow')).toEqual(['page 2 is slow']);
  });

  it('takes a searched text as it is, whatever it means to a database', async () => {
    expect(await logs(`?search=${encodeURIComponent('50%')}`)).toEqual(['50% of the rows are new']);
    expect(await logs(`?search=${encodeURIComponent('r%d')}`)).toEqual([]);
    expect(await logs(`?search=${encodeURIComponent("' OR 1 = 1 --")}`)).toEqual([]);
  });

  it('has the newest first where asked, and pages without a gap in both orders', async () => {
    const all = messages(() => true);
    for (const [order, expected] of [
      ['oldest', all],
      ['newest', all.toReversed()],
    ] as const) {
      const found: string[] = [];
      for (let cursor: string | null = ''; cursor !== null; ) {
        const more: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
        const path = `/api/v1/runs/${runId}/logs?order=${order}&limit=4${more}`;
        const body = (await test.call('GET', path, { token })).body as {
          items: ShownLogLine[];
          nextCursor: string | null;
        };
        found.push(...body.items.map(({ message }) => message));
        cursor = body.nextCursor;
      }
      expect(found).toEqual(expected);
    }
  });

  it.each(['attempt=0', 'attempt=x', 'level=loud', 'order=random'])(
    'refuses what has no meaning: %s',
    async (query) => {
      const path = `/api/v1/runs/${runId}/logs?${query}`;
      const { status, body } = await test.call('GET', path, { token });
      expect(status).toBe(400);
      expect(JSON.stringify(body)).toContain(query.split('=')[0]);
    },
  );
});

describe('signalbox runs logs', () => {
  it('keeps to an attempt, a level, a text, and the last lines in the order of time', async () => {
    const [attempt, level, search, tail, both] = await Promise.all([
      shown('--attempt', '2'),
      shown('--level', 'warn'),
      shown('--search', 'rows'),
      shown('--tail', '2'),
      shown('--attempt', '1', '--level', 'warn', '--tail', '1'),
    ]);
    expect(attempt).toEqual(messages(([, of]) => of === 2));
    expect(level).toEqual(WORSE);
    expect(search).toEqual(['read 100 rows', 'read 200 rows', '50% of the rows are new']);
    expect(tail).toEqual(['read 200 rows', '50% of the rows are new']);
    expect(both).toEqual(['page 2: timed out']);
  });

  it('says what is wrong with an option', async () => {
    await using program = cli('--level', 'loud');
    expect(await program.waitForExit()).toBe(2);
    expect(program.stderr()).toMatch(/debug, info, warn, error/);
  });

  it('follows a run: shows each line once when it comes, and ends with the run', async () => {
    await using follows = cli('--follow');
    await follows.waitForLine(/50% of the rows are new/);
    await log({ taskKey: 'load', attempt: 1, level: 'info', message: 'wrote 200 rows' });
    await follows.waitForLine(/wrote 200 rows/);
    expect(follows.exitCode()).toBeUndefined();
    await complete(last, 'succeeded');
    expect(await follows.waitForExit(10_000)).toBe(0);
    const lines = follows.stdout().trim().split('\n');
    expect(lines).toHaveLength(SAID.length + 1);
    expect(lines.at(-1)).toMatch(/^\d\d:\d\d:\d\d\.\d{3} info {2}load {2}wrote 200 rows$/);
    expect(lines[4]).toMatch(/extract #2 {2}read 200 rows/);
  });
});
