import { join } from 'node:path';
import { expect, it } from 'vitest';
import { printable } from '../../server/cli/output.ts';
import { startProcess } from '../support/child-process.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'server', 'cli', 'main.ts');

it('takes control characters out of foreign text, and leaves the colours of commands alone', () => {
  expect(printable('\u001b[31mfailed\u001b[39m')).toBe('\u001b[31mfailed\u001b[39m');
  expect(printable('a\u001b[2Jb\u001b[8mc\u0007')).toBe('a·[2Jb·[8mc·');
});

it('prints colours where they are asked for, and none where its output is no terminal', async () => {
  const run = async (env: Record<string, string | undefined>) => {
    await using program = startProcess(process.execPath, [MAIN, 'runs', 'list', '--url', 'x'], {
      env: { CI: '1', NO_COLOR: undefined, FORCE_COLOR: undefined, ...env },
    });
    await program.waitForExit();
    return program.stderr();
  };
  expect(await run({})).not.toContain('\u001b[');
  expect(await run({ FORCE_COLOR: '1' })).toContain('\u001b[31m');
});
