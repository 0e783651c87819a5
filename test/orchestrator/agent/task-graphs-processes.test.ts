import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startProcess, type TestProcess } from '../../support/child-process.ts';
import { makeTempDir, type TempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { trigger } from '../dispatch/stand.ts';
import { type HttpDoor, openHttpDoor, TOKEN } from './http-door.ts';
import { type AgentStand, startAgentStand } from './stand.ts';

const MAIN = import.meta.resolve('../../../orchestrator/agent/main.ts');

const FILE = `
  import { setTimeout as delay } from 'node:timers/promises';
  import { flow, RetryLaterError, workflow } from 'signalbox';

  export const child = flow('graph-child', {}, () => process.pid);
  const build = (w) => {
    const list = w.task('list', {}, () => ['a', 'b', 'c']);
    const each = w.map('each', { over: list, retries: 1, retryOn: ['RetryLaterError'] }, (ctx, item) => {
      if (item === 'b') ctx.skip('no b');
      if (item === 'c' && ctx.attempt === 1) throw new RetryLaterError('soon', { after: 1 });
      return item + process.pid;
    });
    const choose = w.branch('choose', { after: [each] }, async (ctx) =>
      (await ctx.result(each)).length === 2 ? 'sub' : 'never');
    const sub = w.subflow('sub', { after: [choose], workflow: 'graph-child' });
    w.task('never', { after: [choose] }, () => 1);
    w.task('end', { after: [sub], triggerRule: 'all-done' }, async (ctx) => ctx.result(sub));
  };
  export const alone = workflow('graph-alone', { isolation: 'process' }, build);
  export const shared = workflow('graph-shared', {}, build);
  export const long = workflow('graph-long', {}, (w) => {
    const list = w.task('list', {}, () => [1, 2, 3, 4, 5, 6]);
    const each = w.map('each', { over: list, concurrency: 3 }, async (ctx, item) => {
      if (process.env.SLOW) await delay(60_000);
      return item;
    });
    w.task('sum', { after: [each] }, (ctx) => ctx.result(each));
  });
`;

let agents: AgentStand;
let door: HttpDoor;
let dir: TempDir;
const started: TestProcess[] = [];

beforeAll(async () => {
  agents = await startAgentStand({ leaseMs: 1_500 });
  door = await openHttpDoor(agents.stand.orchestrator.agents);
  dir = await makeTempDir('task-graphs');
  await mkdir(join(dir.path, 'flows'));
  await writeFile(join(dir.path, 'flows', 'graphs.ts'), FILE);
});

afterAll(async () => {
  for (const agent of started) await agent.stop();
  await agents[Symbol.asyncDispose]();
  await door.close();
  await dir.remove();
});

async function startAgentProcess(
  name: string,
  env: Record<string, string> = {},
): Promise<TestProcess> {
  const code = `
    import { runAgent } from ${JSON.stringify(MAIN)};
    await runAgent({
      url: ${JSON.stringify(door.url)}, token: '${TOKEN}', name: '${name}', queues: ['default'], concurrency: 4,
      workflows: [${JSON.stringify(join(dir.path, 'flows'))}], log: (text) => console.log(text),
    });
  `;
  const agent = startProcess(process.execPath, ['--input-type=module', '-e', code], {
    env: { NODE_OPTIONS: undefined, ...env },
  });
  started.push(agent);
  await agent.waitForLine(/registered as session/);
  return agent;
}

const statesOf = async (runId: string) => {
  const tasks = await agents.stand.orchestrator.runs.tasks(runId);
  return Object.fromEntries(tasks.map(({ key, state }) => [key, state]));
};

describe('task graphs over HTTP', () => {
  it('go on elsewhere when the agent is killed in the middle of the items of a mapped task', async () => {
    const killed = await startAgentProcess('killed', { SLOW: '1' });
    const runId = await trigger(agents.stand.orchestrator, 'graph-long');
    await waitFor(async () => (await statesOf(runId))['each[2]'] === 'running', {
      timeoutMs: 15_000,
    });
    await killed.stop('SIGKILL');
    await waitFor(async () => {
      await agents.stand.reconcile('lease-reaper');
      return (await statesOf(runId))['each[0]'] === 'ready';
    });
    await startAgentProcess('next');
    expect((await agents.ended(runId)).state).toBe('succeeded');
    expect((await agents.results(runId))['sum']).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it.each(['graph-shared', 'graph-alone'])(
    'branch, map, skip, retry and start other runs: %s',
    async (name) => {
      if (started.length < 2) await startAgentProcess('next');
      const run = await agents.run(name);
      expect(run.state).toBe('succeeded');
      expect(await statesOf(run.id)).toEqual({
        list: 'succeeded',
        each: 'succeeded',
        'each[0]': 'succeeded',
        'each[1]': 'skipped',
        'each[2]': 'succeeded',
        choose: 'succeeded',
        sub: 'succeeded',
        never: 'skipped',
        end: 'succeeded',
      });
      const results = await agents.results(run.id);
      expect(results['end']).toEqual(expect.any(Number));
      const isShared = results['each[0]'] === `a${started.at(-1)?.pid}`;
      expect(isShared).toBe(name === 'graph-shared');
    },
  );
});
