/** The command line as a process of its own, against a server of the tests. */
import { join } from 'node:path';
import { expect } from 'vitest';
import { startProcess } from '../support/child-process.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import type { TestServer } from './running-server.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'server', 'cli', 'main.ts');

/** What a command that succeeds prints. */
export async function runCommand(
  { url }: TestServer,
  token: string,
  args: readonly string[],
): Promise<string> {
  await using directory = await makeTempDir('cli');
  await using program = startProcess(process.execPath, [MAIN, ...args], {
    cwd: directory.path,
    env: { NO_COLOR: '1', SIGNALBOX_URL: url, SIGNALBOX_TOKEN: token },
  });
  const code = await program.waitForExit();
  expect([code, program.stderr()]).toEqual([0, '']);
  return program.stdout();
}
