/**
 * Faults in workflow files, from outside: a real server, agents as processes, and the command line. Each fault is named
 * with its file, and everything else goes on.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WorkflowFileError } from '../../domain/agent-protocol.ts';
import type { Run, Task } from '../../domain/run.ts';
import { startProcess, type TestProcess } from '../support/child-process.ts';
import { makeTempDir, type TempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';
import { startTestServer, type TestServer } from './running-server.ts';

const AGENT = import.meta.resolve('../../orchestrator/agent/main.ts');
const MAIN = join(import.meta.dirname, '..', '..', 'server', 'cli', 'main.ts');
/** A busy machine reads files again slowly. */
const LIMIT = 120_000;

const one = (name: string, body = '() => 1', options = '{}') =>
  `import { workflow } from 'signalbox';
   export default workflow('${name}', ${options}, (w) => { w.task('a', {}, ${body}); });`;
/** Its first task waits for a file; the second comes after it. */
const two = (name: string, second: string, gate: string) =>
  `import { existsSync } from 'node:fs';
   import { workflow } from 'signalbox';
   export default workflow('${name}', {}, (w) => {
     const a = w.task('a', {}, async () => {
       while (!existsSync(${JSON.stringify(gate)})) await new Promise((r) => setTimeout(r, 50));
       return 1;
     });
     w.task('${second}', { after: [a] }, () => 2);
   });`;

const FAULTS: Readonly<Record<string, readonly [code: string, message: RegExp]>> = {
  'throws.ts': [`throw new Error('boom');`, /^Error: boom \(line 1/],
  'syntax.ts': ['export default workflow(;', /^SyntaxError: /],
  'default.ts': [
    `import { workflow } from 'signalbox';\nexport default { name: 'plain', workflow };`,
    /its default export is no workflow/,
  ],
  'never.ts': ['await new Promise(() => undefined);', /a top-level await never ended\)$/],
  'exits.ts': ['process.exit(3);', /ended the process \(exit code 3\)/],
  'missing.ts': [`import 'no-such-package';`, /Cannot find package 'no-such-package'/],
  'cycle.ts': [
    `import { workflow } from 'signalbox';
     export default workflow('cycle', {}, (w) => {
       w.task('a', { after: ['b'] }, () => 1);
       w.task('b', { after: ['a'] }, () => 1);
     });`,
    /a circle: a → b → a/,
  ],
  'twice.ts': [
    `${one('twice')}\nexport const more = workflow('twice', {}, (w) => { w.task('b', {}, () => 1); });`,
    /it defines "twice" twice/,
  ],
  'z-again.ts': [one('good'), /"good" is already defined in wf\/good\.ts/],
};

let test: TestServer;
let dir: TempDir;
let operator: string;
let agentToken: string;
const agents: TestProcess[] = [];

const file = (name: string, folder = 'wf') => join(dir.path, folder, name);
const get = async <T>(path: string) =>
  (await test.call('GET', `/api/v1${path}`, { token: operator })).body as T;
const post = (path: string, body: unknown = {}) =>
  test.call('POST', `/api/v1${path}`, { token: operator, body });
const faults = async () => (await get<{ items: WorkflowFileError[] }>('/workflow-errors')).items;

async function startAgent(name: string, folder: string): Promise<TestProcess> {
  const code = `
    import { runAgent } from ${JSON.stringify(AGENT)};
    await runAgent({
      url: ${JSON.stringify(test.url)}, token: '${agentToken}', name: '${name}', queues: ['default'], concurrency: 4,
      workflows: [${JSON.stringify(join(dir.path, folder))}], log: (text) => console.log(text), watch: true,
    });`;
  const agent = startProcess(process.execPath, ['--input-type=module', '-e', code], {
    env: { NODE_OPTIONS: undefined },
  });
  agents.push(agent);
  await agent.waitForLine(/registered as session/, LIMIT);
  return agent;
}

const start = async (name: string) => (await post(`/workflows/${name}/runs`)).body as Run;

function stateOf(id: string, ...states: string[]): Promise<Run> {
  return waitFor(
    async () => {
      const run = await get<Run>(`/runs/${id}`);
      return states.includes(run.state) && run;
    },
    { what: `run ${id} to be ${states.join(' or ')}`, timeoutMs: LIMIT / 2 },
  );
}

const ended = (id: string) => stateOf(id, 'succeeded', 'failed');
const faultOf = (pattern: RegExp) =>
  waitFor(async () => (await faults()).find(({ message }) => pattern.test(message)), {
    what: `a fault like ${pattern}`,
    timeoutMs: LIMIT / 2,
  });

beforeAll(async () => {
  test = await startTestServer();
  operator = await test.token('operator');
  agentToken = await test.token('agent');
  dir = await makeTempDir('faults');
  await mkdir(join(dir.path, 'wf'));
  await mkdir(join(dir.path, 'others'));
  await writeFile(file('good.ts'), one('good'));
  await writeFile(file('helper.ts'), 'export default (a: number) => a + 1;');
  for (const [name, [code]] of Object.entries(FAULTS)) await writeFile(file(name), code);
  await startAgent('first', 'wf');
}, 2 * LIMIT);
afterAll(async () => {
  for (const agent of agents) await agent[Symbol.asyncDispose]();
  await test[Symbol.asyncDispose]();
  await dir.remove();
});

describe('a workflow file with a fault', () => {
  it('is named with what is wrong, by the API, readyz and the agent’s log, and the others run', {
    timeout: LIMIT,
  }, async () => {
    const told = new Map((await faults()).map((one) => [one.file, one]));
    expect([...told.keys()].sort()).toEqual(
      Object.keys(FAULTS)
        .map((name) => `wf/${name}`)
        .sort(),
    );
    for (const [name, [, message]] of Object.entries(FAULTS)) {
      expect(told.get(`wf/${name}`)?.message).toMatch(message);
      expect(told.get(`wf/${name}`)?.agent).toBe('first');
      expect(agents[0]?.stdout()).toContain(`wf/${name}: `);
    }
    const ready = (await test.call('GET', '/readyz')).body;
    expect(ready).toMatchObject({ workflows: { fileErrors: Object.keys(FAULTS).length } });
    expect(await ended((await start('good')).id)).toMatchObject({ state: 'succeeded' });
  });

  it('is told by the command line, which ends with 1, and with 0 where all is well', {
    timeout: LIMIT,
  }, async () => {
    const command = (...args: string[]) =>
      startProcess(process.execPath, [MAIN, 'workflows', ...args], {
        env: { SIGNALBOX_URL: test.url, SIGNALBOX_TOKEN: operator, NODE_OPTIONS: undefined },
      });
    await using list = command('list');
    expect(await list.waitForExit(LIMIT)).toBe(0);
    expect(list.stdout()).toContain('wf/throws.ts (agent first)');
    await using check = command('check', join(dir.path, 'wf'));
    expect(await check.waitForExit(LIMIT)).toBe(1);
    for (const name of Object.keys(FAULTS)) expect(check.stdout()).toContain(`wf/${name}`);
    expect(check.stdout()).toContain('These define nothing: wf/helper.ts');
    await mkdir(join(dir.path, 'clean'));
    await writeFile(file('fine.ts', 'clean'), one('fine'));
    await using clean = command('check', join(dir.path, 'clean'));
    expect(await clean.waitForExit(LIMIT), clean.stderr()).toBe(0);
    await using nowhere = command('check', join(dir.path, 'nowhere'));
    expect(await nowhere.waitForExit(LIMIT)).toBe(2);
  });

  it('is no longer told once it is mended, or gone', { timeout: LIMIT }, async () => {
    await writeFile(file('throws.ts'), one('mended'));
    await rm(file('syntax.ts'));
    await waitFor(
      async () => {
        const names = (await faults()).map((one) => one.file);
        return !names.includes('wf/throws.ts') && !names.includes('wf/syntax.ts');
      },
      { what: 'the faults to go', timeoutMs: LIMIT / 2 },
    );
    expect(await ended((await start('mended')).id)).toMatchObject({ state: 'succeeded' });
    for (const name of Object.keys(FAULTS))
      if (name !== 'throws.ts') await rm(file(name), { force: true });
    await waitFor(async () => (await faults()).length === 0, {
      what: 'all faults to go',
      timeoutMs: LIMIT / 2,
    });
  });
});

describe('a name that two agents define in two files', () => {
  it('is told while both are there, with the other file and agent', {
    timeout: LIMIT,
  }, async () => {
    await writeFile(file('mine.ts', 'others'), one('mended', '() => 2'));
    const second = await startAgent('second', 'others');
    expect(
      await faultOf(/mended is defined in wf\/throws\.ts, which agent first has/),
    ).toMatchObject({ file: 'others/mine.ts', agent: 'second' });
    await rm(file('mine.ts', 'others'));
    await writeFile(file('alone.ts', 'others'), one('alone'));
    await waitFor(
      async () => !(await faults()).some(({ file: name }) => name === 'others/mine.ts'),
      {
        what: 'the fault to go',
        timeoutMs: LIMIT / 2,
      },
    );
    await second.stop();
  });
});

/** What a task says that it waits for. */
function waitOf(id: string, key: string): Promise<string> {
  return waitFor(
    async () => {
      const { items } = await get<{ items: Task[] }>(`/runs/${id}/tasks`);
      return items.find((task) => task.key === key)?.waitsFor?.message;
    },
    { timeoutMs: LIMIT / 2 },
  );
}

/** Starts a run as soon as the file is read. @returns its id once its first task waits */
async function underWay(name: string): Promise<string> {
  const { id } = await waitFor(
    async () => {
      const { status, body } = await post(`/workflows/${name}/runs`);
      return status === 201 && (body as Run);
    },
    { what: `the workflow ${name}`, timeoutMs: LIMIT / 2 },
  );
  await stateOf(id, 'running');
  return id;
}

describe('a file that changes while its runs are under way', () => {
  it('lets a run go on with its new code, where the tasks are the same', {
    timeout: LIMIT,
  }, async () => {
    const gate = file('gate-1');
    await writeFile(file('same.ts'), two('same', 'b', gate));
    const id = await underWay('same');
    const timesRead = () => agents[0]?.stdout().match(/workflows read again/g)?.length ?? 0;
    const before = timesRead();
    await writeFile(file('same.ts'), two('same', 'b', gate).replace('() => 2', '() => 3'));
    await waitFor(() => timesRead() > before, {
      what: 'the files to be read again',
      timeoutMs: LIMIT / 2,
    });
    await writeFile(gate, '');
    expect(await ended(id)).toMatchObject({ state: 'succeeded' });
  });

  it('leaves the task that it no longer has, and says so; runs that begin then are right', {
    timeout: LIMIT,
  }, async () => {
    const gate = file('gate-2');
    await writeFile(file('renamed.ts'), two('renamed', 'old-name', gate));
    const id = await underWay('renamed');
    await writeFile(file('renamed.ts'), two('renamed', 'new-name', gate));
    await waitFor(
      async () => {
        const { tasks } = await get<{ tasks: { key: string }[] }>('/workflows/renamed');
        return tasks.some(({ key }) => key === 'new-name');
      },
      { timeoutMs: LIMIT / 2 },
    );
    await writeFile(gate, '');
    expect(await waitOf(id, 'old-name')).toMatch(/its code was changed since the run began/);
    expect(await ended((await start('renamed')).id)).toMatchObject({ state: 'succeeded' });
  });

  it('that is deleted is told while its runs are under way, which wait for it, and go on once it is back', {
    timeout: LIMIT,
  }, async () => {
    const gate = file('gate-3');
    await writeFile(file('gone.ts'), two('gone', 'b', gate));
    const id = await underWay('gone');
    await rm(file('gone.ts'));
    expect(await faultOf(/gone is no longer defined; 1 of its runs are under way/)).toMatchObject({
      file: 'wf/gone.ts',
    });
    await writeFile(gate, '');
    expect(await waitOf(id, 'b')).toMatch(/no agent of the queue default defines gone/);
    await writeFile(file('gone.ts'), two('gone', 'b', gate));
    expect((await ended(id)).state).toBe('succeeded');
  });

  it('that is deleted is told as long as its schedule goes on, and no longer once that is paused', {
    timeout: LIMIT,
  }, async () => {
    await writeFile(file('nightly.ts'), one('nightly', '() => 1', `{ schedule: '0 3 * * *' }`));
    await waitFor(async () => (await post('/workflows/nightly/unpause')).status === 200, {
      timeoutMs: LIMIT / 2,
    });
    await rm(file('nightly.ts'));
    await faultOf(
      /nightly is no longer defined, and its runs still start: .*workflows pause nightly/,
    );
    expect((await post('/workflows/nightly/pause')).status).toBe(200);
    await writeFile(file('poke.ts'), one('poke'));
    await waitFor(
      async () => !(await faults()).some(({ file: name }) => name === 'wf/nightly.ts'),
      {
        timeoutMs: LIMIT / 2,
      },
    );
  });
});
