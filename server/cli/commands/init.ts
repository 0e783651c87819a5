/** `signalbox init`: the least that a project needs, in the folder where it is called. */
import { existsSync } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';

const TEMPLATE = fileURLToPath(new URL('../../templates/project/', import.meta.url));

/** Files of the template, and what they are called in a project: npm leaves `.gitignore` out of packages. */
const FILES = [
  ['workflows/hello.ts', 'workflows/hello.ts'],
  ['tsconfig.json', 'tsconfig.json'],
  ['gitignore', '.gitignore'],
] as const;

export function initCommand(): Command {
  return new Command('init')
    .description('Write a first workflow and what an editor needs; keeps every file that is there')
    .argument('[dir]', 'folder of the project', '.')
    .option('--json', 'print JSON')
    .action(async (dir: string, options: { json?: boolean }) => {
      const files = await writeProject(resolve(dir));
      console.log(options.json ? JSON.stringify({ files }) : describe(files));
    });
}

interface Written {
  readonly path: string;
  readonly written: boolean;
}

async function writeProject(folder: string): Promise<Written[]> {
  const files: Written[] = [];
  for (const [from, path] of FILES) {
    const to = join(folder, path);
    const written = !existsSync(to);
    if (written) {
      await mkdir(dirname(to), { recursive: true });
      await copyFile(join(TEMPLATE, from), to);
    }
    files.push({ path, written });
  }
  return files;
}

function describe(files: readonly Written[]): string {
  const lines = files.map(({ path, written }) => `${written ? 'wrote' : 'kept '}  ${path}`);
  return [...lines, '', 'Next: npx signalbox up'].join('\n');
}
