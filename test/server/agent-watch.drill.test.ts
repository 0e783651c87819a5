import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type HttpDoor, logged, openHttpDoor, TOKEN } from '../orchestrator/agent/http-door.ts';
import { ISOLATION_FILES } from '../orchestrator/agent/isolation-files.ts';
import { type AgentStand, startAgentStand } from '../orchestrator/agent/stand.ts';
import { trigger } from '../orchestrator/dispatch/stand.ts';
import { startProcess, type TestProcess } from '../support/child-process.ts';
import { makeTempDir, type TempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';
import { alive, commandOf, descendantsOf } from './process-tree.ts';

const BIN = new URL('../../bin/signalbox.js', import.meta.url).pathname;
/** So long that nothing here can be the work of a lease that ran out. */
const LEASE_MS = 120_000;

let agents: AgentStand;
let door: HttpDoor;
let dir: TempDir;
let started = 0;

beforeAll(async () => {
  agents = await startAgentStand({ leaseMs: LEASE_MS });
  door = await openHttpDoor(agents.stand.orchestrator.agents);
  dir = await makeTempDir('agent-watch');
  for (const [name, text] of Object.entries(ISOLATION_FILES)) {
    await writeFile(join(dir.path, name), text);
  }
});

afterAll(async () => {
  await agents[Symbol.asyncDispose]();
  await door.close();
  await dir.remove();
});

beforeEach(() => writeFile(join(dir.path, 'notes'), ''));

const notes = () => readFile(join(dir.path, 'notes'), 'utf8');
const count = async (text: string) => (await notes()).split(text).length - 1;

/** `signalbox agent`, as a user starts it. */
async function startWatched(
  token = TOKEN,
  heapMiB?: number,
  more: Record<string, string | undefined> = {},
): Promise<TestProcess> {
  started += 1;
  const watched = startProcess(
    process.execPath,
    [
      ...[BIN, 'agent', '--url', door.url, '--name', `watched-${started}`, '--concurrency', '20'],
      ...['--workflows', dir.path, '--stall-limit', '1s', '--drain', '1s', '--workers', '3'],
    ],
    {
      env: {
        ...{ SIGNALBOX_TOKEN: token, NOTES: join(dir.path, 'notes'), OTEL_SDK_DISABLED: 'true' },
        ...more,
        NODE_OPTIONS: heapMiB === undefined ? undefined : `--max-old-space-size=${heapMiB}`,
      },
    },
  );
  if (token === TOKEN) await registered(watched, 1);
  return watched;
}

function registered(watched: TestProcess, times: number) {
  return waitFor(() => watched.stderr().split('registered as session').length > times, {
    what: `registration ${times}`,
    timeoutMs: 20_000,
  });
}

/** The process that runs the tasks. */
async function agentOf(watched: TestProcess): Promise<number> {
  const below = await descendantsOf(watched.pid);
  const commands = await Promise.all(below.map(commandOf));
  return below[commands.findIndex((command) => command.includes('cli/main'))] ?? -1;
}

async function startMany(name: string, many: number): Promise<readonly string[]> {
  const ids = await Promise.all(
    Array.from({ length: many }, () => trigger(agents.stand.orchestrator, name)),
  );
  await waitFor(async () => (await count(`${name} `)) >= many, { what: 'their start' });
  return ids;
}

describe('signalbox agent', () => {
  it.each(['loop', 'later'])(
    'fails a task that blocks its event loop by name, and the others complete: %s',
    async (how) => {
      await using watched = await startWatched();
      const agent = await agentOf(watched);
      const beside = await startMany('beside', 3);
      const startedAt = performance.now();
      const run = await agents.run('auto', { how });
      const [task] = await agents.stand.orchestrator.runs.tasks(run.id);
      expect(task).toMatchObject({ state: 'failed', attempt: 1 });
      expect(task?.error).toMatchObject({
        name: 'EventLoopBlocked',
        message: expect.stringMatching(/blocked the agent's event loop for 1 s, at .*harm\.ts:\d+/),
      });
      await registered(watched, 2);
      expect(performance.now() - startedAt).toBeLessThan(10_000);
      expect(await alive([agent])).toEqual([]);
      for (const id of beside) {
        expect((await agents.ended(id)).state).toBe('succeeded');
        const workers = await descendantsOf(await agentOf(watched));
        expect(workers).toContain((await agents.results(id))['waits']);
      }
      expect((await agents.run('auto', { how: 'fine' })).state).toBe('succeeded');
      expect(agents.stand.logged.join('\n')).toMatch(
        /died: a task blocked its event loop for 1 s, at/,
      );
    },
  );

  it('lets a task go on that blocks its event loop for less than the limit', async () => {
    await using watched = await startWatched();
    const agent = await agentOf(watched);
    for (let n = 0; n < 2; n++) {
      expect((await agents.run('auto', { how: 'briefly' })).state).toBe('succeeded');
      expect((await agents.run('auto', { how: 'fine' })).state).toBe('succeeded');
    }
    expect(await agentOf(watched)).toBe(agent);
  });

  it('that is killed in the middle of many tasks hands them back at once', async () => {
    await using watched = await startWatched();
    const beside = await startMany('gated', 12);
    const agent = await agentOf(watched);
    process.kill(agent, 'SIGKILL');
    await writeFile(join(dir.path, 'notes.open'), '');
    for (const id of beside) expect((await agents.ended(id)).state).toBe('succeeded');
    await registered(watched, 2);
    expect(watched.stderr()).toMatch(/the agent ended \(SIGKILL\): it is started again/);
    const pids = new Set(
      await Promise.all(beside.map(async (id) => (await agents.results(id))['waits'])),
    );
    expect(pids.has(agent)).toBe(false);
    expect(agents.stand.logged.join('\n')).toMatch(/died: its process was ended by SIGKILL/);
  });

  it('that runs out of memory goes on, and the task that took the memory dies alone', async () => {
    await using watched = await startWatched(TOKEN, 96);
    const beside = await startMany('beside', 2);
    const run = await agents.run('auto', { how: 'memory' });
    const [task] = await agents.stand.orchestrator.runs.tasks(run.id);
    expect(task).toMatchObject({ state: 'failed', attempt: 2 });
    expect(task?.error).toMatchObject({
      name: 'OutOfMemory',
      message: expect.stringMatching(/out of memory at \d+ MiB/),
    });
    for (const id of beside) expect((await agents.ended(id)).state).toBe('succeeded');
    await waitFor(() => logged.some(({ runId, level }) => runId === run.id && level === 'error'));
    await registered(watched, 2);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('leaves no process behind after %s', async (signal) => {
    const watched = await startWatched();
    await trigger(agents.stand.orchestrator, 'alone', { parameters: { how: 'loop' } });
    await trigger(agents.stand.orchestrator, 'alone', { parameters: { how: 'deaf' } });
    await waitFor(async () => (await count('deaf')) + (await count('loop')) >= 2);
    const all = await descendantsOf(watched.pid);
    expect(all.length).toBeGreaterThan(2);
    expect(await watched.stop(signal, 10_000)).toBe(0);
    await waitFor(async () => (await alive(all)).length === 0, { what: 'the end of all' });
    await agents.stand.sql(`DELETE FROM signalbox.task_live`);
  });

  it('leaves no process behind when the watching one is killed', async () => {
    const watched = await startWatched();
    await trigger(agents.stand.orchestrator, 'alone', { parameters: { how: 'loop' } });
    await waitFor(async () => (await count('loop')) >= 1);
    const all = await descendantsOf(watched.pid);
    process.kill(watched.pid, 'SIGKILL');
    await waitFor(async () => (await alive(all)).length === 0, {
      what: 'the end of all',
      timeoutMs: 12_000,
    });
    await agents.stand.sql(`DELETE FROM signalbox.task_live`);
  });

  it('has the spans of what a task does in a process of its own, as part of the run’s trace', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const received: Buffer[] = [];
    const sink = createServer(async (request, response) => {
      const body = await buffer(request);
      if (request.url === '/v1/traces') received.push(body);
      response.end();
    }).listen(0, '127.0.0.1');
    await once(sink, 'listening');
    const url = `http://127.0.0.1:${(sink.address() as AddressInfo).port}`;
    const FETCHED = `${url}/fetched-in-a-worker`;
    {
      await using _watched = await startWatched(TOKEN, undefined, {
        ...{ OTEL_SDK_DISABLED: undefined, OTEL_EXPORTER_OTLP_ENDPOINT: url, FETCHED },
      });
      const id = await trigger(agents.stand.orchestrator, 'alone', {
        ...{ parameters: { how: 'fetches' }, traceparent: `00-${traceId}-b7ad6b7169203331-01` },
      });
      expect((await agents.ended(id)).state).toBe('succeeded');
      await waitFor(
        () =>
          received.some(
            (body) => body.includes(FETCHED) && body.includes(Buffer.from(traceId, 'hex')),
          ),
        { what: 'the span of the call' },
      );
    }
    sink.closeAllConnections();
    sink.close();
  });

  it('ends where the server will never take it', async () => {
    const watched = await startWatched('wrong');
    expect(await watched.waitForExit(15_000)).toBe(1);
  });
});
