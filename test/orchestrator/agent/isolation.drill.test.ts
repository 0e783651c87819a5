import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { alive } from '../../server/process-tree.ts';
import { startProcess, type TestProcess } from '../../support/child-process.ts';
import { makeTempDir, type TempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { trigger } from '../dispatch/stand.ts';
import { type HttpDoor, logged, openHttpDoor, TOKEN } from './http-door.ts';
import { ISOLATION_FILES } from './isolation-files.ts';
import { type AgentStand, startAgentStand } from './stand.ts';

const MAIN = import.meta.resolve('../../../orchestrator/agent/main.ts');

let agents: AgentStand;
let door: HttpDoor;
let dir: TempDir;
let agent: TestProcess;

beforeAll(async () => {
  agents = await startAgentStand({ leaseMs: 2_000 });
  door = await openHttpDoor(agents.stand.orchestrator.agents);
  dir = await makeTempDir('isolation');
  await mkdir(join(dir.path, 'flows'));
  for (const [name, text] of Object.entries(ISOLATION_FILES)) {
    await writeFile(join(dir.path, 'flows', name), text);
  }
  const code = `
    import { runAgent } from ${JSON.stringify(MAIN)};
    await runAgent({
      url: ${JSON.stringify(door.url)}, token: '${TOKEN}', name: 'isolates', queues: ['default'], concurrency: 8,
      workflows: [${JSON.stringify(join(dir.path, 'flows'))}], log: (text) => console.log(text),
    });
    console.log('ended cleanly');
  `;
  agent = startProcess(process.execPath, ['--input-type=module', '-e', code], {
    env: {
      ...{ NOTES: join(dir.path, 'notes'), USERS_DATABASE: agents.stand.postgres.url },
      NODE_OPTIONS: undefined,
    },
  });
  await agent.waitForLine(/registered as session/);
});

afterAll(async () => {
  await agent.stop();
  await agents[Symbol.asyncDispose]();
  await door.close();
  await dir.remove();
});

const notes = () => readFile(join(dir.path, 'notes'), 'utf8').catch(() => '');
const linesOf = (runId: string) => logged.filter((line) => line.runId === runId);

async function run(name: string, how: string) {
  const found = await agents.run(name, { how });
  const [task] = await agents.stand.orchestrator.runs.tasks(found.id);
  return { ...found, task };
}

describe('a task that shares its agent’s process', () => {
  it.each([
    ['exit', /process\.exit\(3\)/],
    ['abort', /process\.abort\(\)/],
    ['kill', /process\.kill\(\d+, "SIGKILL"\)/],
    ['rejection', /from a timer/],
    ['exception', /thrown by a timer/],
  ])('fails alone when it does this: %s', async (how, told) => {
    const beside = await trigger(agents.stand.orchestrator, 'beside');
    await waitFor(async () => (await notes()).includes(`beside ${beside}`));
    const { state, task, id } = await run('shared', how);
    expect(state).toBe('failed');
    expect(task?.error?.message).toMatch(told);
    expect(task?.attempt).toBe(1);
    await waitFor(() => linesOf(id).some(({ level }) => level === 'error'));
    expect((await agents.ended(beside)).state).toBe('succeeded');
    expect((await agents.results(beside))['waits']).toBe(agent.pid);
    expect((await notes()).split(`beside ${beside}`)).toHaveLength(2);
  });
});

describe('a task in a process of its own', () => {
  it.each([
    ['exit', 'ProcessExit', /exit code 3/],
    ['abort', 'ProcessKilled', /SIGABRT/],
    ['kill', 'ProcessKilled', /SIGKILL/],
    ['segfault', 'ProcessKilled', /SIGSEGV/],
    ['memory', 'OutOfMemory', /out of memory at 64 MiB/],
    ['buffers', 'OutOfMemory', /out of memory at 64 MiB: its process held \d+ MiB/],
    ['rejection', 'Error', /from a timer/],
    ['exception', 'Error', /thrown by a timer/],
  ])('dies alone when it does this, and is told apart: %s', async (how, name, told) => {
    const { state, task, id } = await run('alone', how);
    expect(state).toBe('failed');
    expect(task?.error).toMatchObject({ name, message: expect.stringMatching(told) });
    await waitFor(() =>
      linesOf(id).some(({ level, message }) => level === 'error' && told.test(message)),
    );
    expect(agent.exitCode()).toBeUndefined();
  });

  it('counts its death as a failed attempt, and is tried again', async () => {
    const { state, task, id } = await run('retried', 'exit');
    expect(state).toBe('failed');
    expect(task?.attempt).toBe(2);
    expect((await notes()).match(/exit attempt [12]/g)?.slice(-2)).toEqual([
      'exit attempt 1',
      'exit attempt 2',
    ]);
    expect(id).not.toBe('');
  });

  it('runs in a warm process that is used again only where nothing was left in it', async () => {
    const pidOf = async (how: string) => {
      const { id } = await run('alone', how);
      return Number((await agents.results(id))['act']);
    };
    const first = await pidOf('fine');
    expect(first).not.toBe(agent.pid);
    expect(await pidOf('timer')).toBe(first);
    const next = await pidOf('fine');
    expect(next).not.toBe(first);
    await waitFor(async () => (await alive([first])).length === 0);
    expect(await pidOf('fine')).toBe(next);
  });

  it('takes the child processes that it started along', async () => {
    const { id } = await run('alone', 'child');
    const child = Number((await agents.results(id))['act']);
    await waitFor(async () => (await alive([child])).length === 0, {
      what: 'the end of the child',
    });
    await waitFor(() => linesOf(id).some(({ message }) => message.includes(String(child))));
  });

  it('has what it prints in its log, also past the console and by its children', async () => {
    const { id } = await run('alone', 'prints');
    const texts = await waitFor(() => {
      const found = linesOf(id).map(({ message }) => message);
      return found.length >= 5 ? found : undefined;
    });
    expect([...texts].sort()).toEqual(
      ['by a child', 'by console { n: 1 }', 'by console.error', 'by stdout', 'without end'].sort(),
    );
  });

  it('asks its session for all that a flow needs', async () => {
    const found = await agents.run('asks');
    expect(found).toMatchObject({ state: 'succeeded' });
    const { flow } = await agents.results(found.id);
    const { first, once, child, here } = flow as Record<string, unknown>;
    expect({ once, child }).toEqual({ once: `asks/${found.id}`, child: 'child' });
    expect(first).toBe(here);
    expect(here).not.toBe(agent.pid);
  });

  it('is ended when its time is over and its code does not stop', async () => {
    const { state, task, id } = await run('limited', 'loop');
    expect(state).toBe('failed');
    expect(task?.error?.message).toMatch(/longer than 300 ms/);
    const said = await waitFor(() => {
      const found = linesOf(id).map(({ message }) => message);
      return found.length >= 2 ? found : undefined;
    });
    expect(said.join('\n')).toMatch(/SIGTERM to its process/);
  });

  it('is ended when it was cancelled and does not stop, and the run is cancelled then', async () => {
    const { orchestrator } = agents.stand;
    const id = await trigger(orchestrator, 'stubborn', { parameters: { how: 'deaf' } });
    const pid = await waitFor(async () =>
      Number(/deaf attempt 1 in (\d+)/.exec(await notes())?.[1] ?? 0),
    );
    await orchestrator.runs.cancel(id, 'enough', { name: 'test' });
    expect((await orchestrator.runs.get(id)).state).toBe('running');
    expect((await agents.ended(id)).state).toBe('cancelled');
    expect(await alive([pid])).toEqual([]);
  });
});

describe('a task that prints a million lines', () => {
  it.each(['alone', 'shared'])('harms no other: %s', async (where) => {
    const { orchestrator } = agents.stand;
    const how = where === 'alone' ? 'chatty' : 'yields';
    const id = await trigger(orchestrator, where, { parameters: { how } });
    await waitFor(() => linesOf(id).length > 0, { what: 'its first line' });
    const tookMs: number[] = [];
    for (let n = 0; n < 5; n++) {
      const startedAt = performance.now();
      expect((await run('auto', 'fine')).state).toBe('succeeded');
      tookMs.push(performance.now() - startedAt);
    }
    expect(Math.max(...tookMs)).toBeLessThan(2_000);
    expect((await agents.ended(id)).state).toBe('succeeded');
    const dropped = await waitFor(
      () => linesOf(id).find(({ message }) => /^\d+ lines were dropped/.test(message)),
      { what: 'the count of lines that were dropped' },
    );
    expect(dropped.level).toBe('warn');
    expect(linesOf(id).length).toBeLessThan(200_000);
  });

  it('or one line of a hundred megabytes, has it cut', async () => {
    const { state, id } = await run('stubborn', 'long');
    expect(state).toBe('succeeded');
    const lines = await waitFor(() => (linesOf(id).length >= 2 ? linesOf(id) : undefined));
    expect(lines.map(({ message }) => message[0]).sort()).toEqual(['x', 'y']);
    expect(Math.max(...lines.map(({ message }) => message.length))).toBeLessThan(20_000);
  });
});

it('pools in workers tell how full they are, and follow their ceiling', async () => {
  const { orchestrator } = agents.stand;
  const id = await trigger(orchestrator, 'alone', { parameters: { how: 'pool' } });
  const pool = await waitFor(
    async () =>
      (await orchestrator.pools.list()).find(
        ({ name, used }) => name === 'users-pool' && used === 1,
      ),
    { what: 'the pool of the worker' },
  );
  // One in each process: the agent's own, and its workers'.
  expect(pool.kind).toBe('postgres-client');
  expect((pool.max ?? 1) % 8).toBe(0);
  await orchestrator.pools.set('users-pool', { max: 4 }, { name: 'test' });
  expect((await agents.ended(id)).state).toBe('succeeded');
  const { act } = await agents.results(id);
  const { before, after } = act as { before: number; after: number };
  expect(before).toBe(8);
  expect(after).toBeLessThanOrEqual(2);
});

it('leaves no process behind when it is killed', async () => {
  const before = await notes();
  const id = await trigger(agents.stand.orchestrator, 'alone', { parameters: { how: 'loop' } });
  const pid = await waitFor(async () =>
    Number(/loop attempt 1 in (\d+)/.exec((await notes()).slice(before.length))?.[1] ?? 0),
  );
  expect(await alive([pid])).toEqual([pid]);
  process.kill(agent.pid, 'SIGKILL');
  await waitFor(async () => (await alive([pid])).length === 0, { what: 'the end of the worker' });
  expect(id).not.toBe('');
});
