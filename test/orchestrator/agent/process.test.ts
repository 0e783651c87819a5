import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startProcess, type TestProcess } from '../../support/child-process.ts';
import { makeTempDir, type TempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { trigger } from '../dispatch/stand.ts';
import { type HttpDoor, logged, openHttpDoor, TOKEN } from './http-door.ts';
import { type AgentStand, startAgentStand } from './stand.ts';

const MAIN = import.meta.resolve('../../../orchestrator/agent/main.ts');

const FILES = {
  'flows/steps.ts': `
    import { appendFileSync, existsSync } from 'node:fs';
    import { setTimeout as delay } from 'node:timers/promises';
    import { flow } from 'signalbox';
    import { say } from './words.ts';
    const note = (text: string) => appendFileSync(process.env.NOTES ?? '', text + '\\n');
    export default flow('steps', {}, async (ctx) => {
      await ctx.step('one', () => note('one'));
      await ctx.step('two', async () => {
        note('two of ' + process.pid);
        while (!existsSync(process.env.NOTES + '.open')) await delay(20, undefined, { signal: ctx.signal });
      });
      return ctx.step('three', () => say());
    });`,
  'flows/words.ts': `export const say = () => 'hello';`,
  'flows/stray.ts': `
    import { workflow } from 'signalbox';
    export const stray = workflow('stray', {}, (w) => {
      w.task('leaves', {}, () => { console.warn('printed', { n: 1 }); setTimeout(() => { throw new Error('left behind'); }, 1); Promise.reject(new Error('too')); return 1; });
    });`,
  'flows/broken.ts': `throw new Error('broken file');`,
};

let agents: AgentStand;
let door: HttpDoor;
let dir: TempDir;

beforeAll(async () => {
  agents = await startAgentStand({ leaseMs: 1_000 });
  door = await openHttpDoor(agents.stand.orchestrator.agents);
  dir = await makeTempDir('agent');
  for (const [name, text] of Object.entries(FILES)) {
    await mkdir(dirname(join(dir.path, name)), { recursive: true });
    await writeFile(join(dir.path, name), text);
  }
});

afterAll(async () => {
  await agents[Symbol.asyncDispose]();
  await door.close();
  await dir.remove();
});

/** An agent in a process of its own; resolves when it has registered. */
async function startAgentProcess(name: string, watch = false): Promise<TestProcess> {
  const code = `
    import { runAgent } from ${JSON.stringify(MAIN)};
    await runAgent({
      url: ${JSON.stringify(door.url)}, token: '${TOKEN}', name: '${name}', queues: ['default'], concurrency: 4,
      workflows: [${JSON.stringify(join(dir.path, 'flows'))}], log: (text) => console.log(text), watch: ${watch},
    });
    console.log('ended cleanly');
  `;
  const child = startProcess(process.execPath, ['--input-type=module', '-e', code], {
    env: { NOTES: join(dir.path, 'notes'), NODE_OPTIONS: undefined },
  });
  await child.waitForLine(/registered as session/);
  return child;
}

const notes = () => readFile(join(dir.path, 'notes'), 'utf8').catch(() => '');

describe('an agent’s process', () => {
  it('reads workflow files, logs what tasks print, and survives what they leave behind', async () => {
    await using agent = await startAgentProcess('reads');
    expect(agent.stdout()).toMatch(/flows\/broken\.ts: Error: broken file/);
    const run = await agents.run('stray');
    expect(run.state).toBe('succeeded');
    const line = await waitFor(() => logged.find(({ runId }) => runId === run.id));
    expect(line).toMatchObject({ level: 'warn', taskKey: 'leaves', message: 'printed { n: 1 }' });
    await waitFor(() => /stray error of a task: Error: left behind/.test(agent.stdout()));
    expect((await agents.run('stray')).state).toBe('succeeded');
    const errors = await agents.stand.orchestrator.workflows.fileErrors();
    expect(errors).toEqual([expect.objectContaining({ file: 'flows/broken.ts' })]);
  });

  it('that is killed in the middle of a flow leaves it to another, which goes on from the last step', async () => {
    await using first = await startAgentProcess('first');
    const id = await trigger(agents.stand.orchestrator, 'steps');
    await waitFor(async () => (await notes()).includes(`two of ${first.pid}`));
    process.kill(first.pid, 'SIGKILL');
    await using _second = await startAgentProcess('second');
    await waitFor(
      async () => {
        await agents.stand.reconcile('lease-reaper');
        // What follows a lost attempt has a process of its own.
        return (await notes()).match(/two of \d+/g)?.length === 2;
      },
      { what: 'the second agent to go on' },
    );
    await appendFile(join(dir.path, 'notes.open'), '');
    expect((await agents.ended(id)).state).toBe('succeeded');
    expect((await notes()).split('\n').filter((line) => line === 'one')).toHaveLength(1);
    expect(await agents.results(id)).toMatchObject({ flow: 'hello' });
  });

  it('runs the new code after a file was changed that another imports', async () => {
    await appendFile(join(dir.path, 'notes.open'), '');
    await using agent = await startAgentProcess('watches', true);
    await writeFile(join(dir.path, 'flows/words.ts'), `export const say = () => 'changed';`);
    await agent.waitForLine(/workflows read again/);
    await waitFor(
      async () => (await agents.results((await agents.run('steps')).id))['flow'] === 'changed',
    );
  });

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'ends cleanly within eight seconds of %s',
    async (signal) => {
      await using agent = await startAgentProcess('ends');
      expect(await agent.stop(signal, 8_000)).toBe(0);
      expect(agent.stdout()).toMatch(/ended cleanly/);
      const listed = await agents.stand.orchestrator.agents.list();
      expect(listed.find(({ name }) => name === 'ends')?.state ?? 'stopped').toBe('stopped');
    },
  );
});
