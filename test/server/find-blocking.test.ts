import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { WATCHED_NODE_OPTIONS } from '../../server/supervise/agent-watch.ts';
import { findBlocking } from '../../server/supervise/find-blocking.ts';
import { startProcess } from '../support/child-process.ts';
import { makeTempDir } from '../support/temp-dir.ts';

it('names the task that blocks a process and the line, time and again, and the code goes on', async () => {
  await using dir = await makeTempDir('blocking');
  const file = join(dir.path, 'blocks.mjs');
  await writeFile(
    file,
    `import { existsSync } from 'node:fs';
    let task = 'first';
    globalThis[Symbol.for('signalbox.blocking-task')] = () => task;
    function crunch() {
      while (!existsSync(import.meta.dirname + '/' + task));
    }
    console.log('blocks: ' + task);
    crunch();
    task = 'second';
    while (isOpen()) await new Promise((done) => setTimeout(done, 20));
    function isOpen() {
      return process.getBuiltinModule('node:inspector').url() !== undefined;
    }
    console.log('blocks: ' + task);
    crunch();
    console.log('went on');`,
  );
  await using blocked = startProcess(process.execPath, [...WATCHED_NODE_OPTIONS, file], {
    env: { NODE_OPTIONS: undefined },
  });
  const said = async () => blocked.stderr();
  for (const token of ['first', 'second']) {
    await blocked.waitForLine(new RegExp(`blocks: ${token}`));
    expect(await findBlocking(blocked.pid, said)).toEqual({
      token,
      where: expect.stringMatching(/^crunch in .*\/blocks\.mjs:5$/),
    });
    await writeFile(join(dir.path, token), '');
  }
  expect(await blocked.waitForExit(10_000)).toBe(0);
  expect(blocked.stdout()).toMatch(/went on/);
});
