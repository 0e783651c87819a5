/** Assets whose code runs in a process of its own: their IO managers, and checks of other files, are there as well. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startProcess, type TestProcess } from '../../support/child-process.ts';
import { makeTempDir, type TempDir } from '../../support/temp-dir.ts';
import { type HttpDoor, openHttpDoor, TOKEN } from '../agent/http-door.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';

const MAIN = import.meta.resolve('../../../orchestrator/agent/main.ts');
const ACTOR = { name: 'token:test' };

const FILES = {
  'rows.ts': `
    import { asset, jsonFile, rowCount } from 'signalbox';
    export const rows = asset(
      'iso/rows',
      {
        isolation: 'process', retries: 2, retryDelay: '10ms', io: jsonFile({ directory: process.env.LAKE ?? '' }),
        checks: [rowCount({ min: 1 })],
      },
      async function* (ctx) {
        for (let id = 0; id < 20_000; id += 1) {
          // The first attempt dies in the middle of the write.
          if (id === 15_000 && ctx.attempt === 1) process.kill(process.pid, 'SIGKILL');
          yield { id };
        }
      },
    );`,
  'check.ts': `
    import { check } from 'signalbox';
    export const even = check('even', { asset: 'iso/rows' }, async (rows) => {
      let count = 0;
      for await (const _ of rows) count += 1;
      return { passed: count % 2 === 0, metadata: { count } };
    });`,
  'sum.ts': `
    import { asset } from 'signalbox';
    import { rows } from './rows.ts';
    export const sum = asset('iso/sum', { isolation: 'process', dependsOn: { rows } }, async (_ctx, inputs) => {
      let total = 0;
      for await (const row of inputs.rows) total += row.id;
      return total;
    });`,
};

let stand: AgentStand;
let door: HttpDoor;
let folder: TempDir;
let agent: TestProcess;

beforeAll(async () => {
  stand = await startAgentStand();
  door = await openHttpDoor(stand.stand.orchestrator.agents);
  folder = await makeTempDir('isolated-io');
  for (const [name, text] of Object.entries(FILES)) await writeFile(join(folder.path, name), text);
  const code = `
    import { runAgent } from ${JSON.stringify(MAIN)};
    await runAgent({
      url: ${JSON.stringify(door.url)}, token: '${TOKEN}', name: 'isolates', queues: ['default'], concurrency: 4,
      workflows: [${JSON.stringify(folder.path)}], log: (text) => console.log(text),
    });`;
  agent = startProcess(process.execPath, ['--input-type=module', '-e', code], {
    env: { LAKE: join(folder.path, 'lake'), NODE_OPTIONS: undefined },
  });
  await agent.waitForLine(/registered as session/);
});
afterAll(async () => {
  await agent.stop();
  await stand[Symbol.asyncDispose]();
  await door.close();
  await folder.remove();
});

it('a version is written, checked and read there, also after an attempt that died in the middle of it', async () => {
  const { assets } = stand.stand.orchestrator;
  const run = await stand.ended((await assets.materialize(['iso/rows', 'iso/sum'], {}, ACTOR)).id);
  expect([run.state, run.error]).toEqual(['succeeded', null]);
  expect(await stand.results(run.id)).toMatchObject({ 'iso/sum': (20_000 * 19_999) / 2 });
  const [first] = await stand.stand.orchestrator.runs.tasks(run.id);
  expect(first?.attempt).toBe(2);
  const shown = await assets.get('iso/rows');
  expect(shown.lastMaterialization?.stored).toMatchObject({ rows: 20_000, stream: true });
  expect(shown.checks.map(({ name, passed }) => [name, passed])).toEqual([
    ['row-count', true],
    ['even', true],
  ]);
});
