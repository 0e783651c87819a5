import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startProcess } from '../support/child-process.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'server', 'cli', 'main.ts');

/** What the shell is told for a line with the cursor at its end. */
async function complete(line: string): Promise<readonly string[]> {
  await using temp = await makeTempDir('completion');
  const words = line.split(' ');
  await using program = startProcess(
    process.execPath,
    [MAIN, 'completion-server', '--', ...words],
    {
      cwd: temp.path,
      env: {
        COMP_CWORD: String(words.length - 1),
        COMP_LINE: line,
        COMP_POINT: String(line.length),
        SHELL: 'fish',
      },
    },
  );
  expect(await program.waitForExit(), program.stderr()).toBe(0);
  return program
    .stdout()
    .split('\n')
    .filter((one) => one !== '')
    .map((one) => one.split('\t')[0] ?? '');
}

describe('completion in shells', () => {
  it('proposes commands, subcommands and options that begin so', async () => {
    expect(await complete('signalbox workf')).toEqual(['workflows']);
    expect(await complete('signalbox workflows tr')).toEqual(['trigger']);
    expect(await complete('signalbox workflows trigger --para')).toEqual(['--parameters']);
  });

  it('proposes the choices of an option, and files where one is wanted', async () => {
    expect(await complete('signalbox tokens create x --role ')).toContain('operator');
    expect(await complete('signalbox agent --workflows ')).toEqual(['__tabtab_complete_files__']);
  });

  it('proposes nothing, and does not fail, where no server tells names', async () => {
    expect(await complete('signalbox workflows show ')).toEqual([]);
  });

  it('prints a script for each shell, and says which there are', async () => {
    for (const shell of ['bash', 'zsh', 'fish', 'pwsh']) {
      await using program = startProcess(process.execPath, [MAIN, 'completion', shell]);
      expect(await program.waitForExit()).toBe(0);
      expect(program.stdout()).toContain('completion-server');
    }
    await using wrong = startProcess(process.execPath, [MAIN, 'completion', 'cmd']);
    expect(await wrong.waitForExit()).toBe(2);
    expect(wrong.stderr()).toContain('bash, zsh, fish, pwsh');
  });
});
