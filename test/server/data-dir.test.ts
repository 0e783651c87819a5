import { execFile } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadSecrets, takeDataDir } from '../../server/supervise/data-dir.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'server', 'cli', 'main.ts');

function up(dataDir: string): Promise<{ readonly code: unknown; readonly stderr: string }> {
  return new Promise((resolve) => {
    const args = [MAIN, 'up', '--data-dir', dataDir, '--port', '0', '--no-examples', '--no-agent'];
    execFile(process.execPath, args, { timeout: 10_000 }, (error, _stdout, stderr) => {
      resolve({ code: error?.code ?? 0, stderr });
    });
  });
}

describe('a data directory', () => {
  it('that cannot be made is told by `up` at once, with exit code 1', async () => {
    const { code, stderr } = await up('/proc/x/data');
    expect(stderr).toContain(
      '/proc/x/data cannot hold the data: the file system takes no folders there; choose another with --data-dir',
    );
    expect(code).toBe(1);
  });

  it('that is a file, or lies below one, is refused with the file’s name', async () => {
    await using folder = await makeTempDir();
    const file = join(folder.path, 'file');
    await writeFile(file, '');
    await expect(takeDataDir(file)).rejects.toThrow(`${file} is a file, not a folder`);
    await expect(takeDataDir(join(file, 'a', 'b'))).rejects.toThrow(
      'a part of the path is a file, not a folder',
    );
  });

  it('behind a link that leads nowhere is refused', async () => {
    await using folder = await makeTempDir();
    const link = join(folder.path, 'link');
    await symlink(join(folder.path, 'gone'), link);
    await expect(takeDataDir(link)).rejects.toThrow('cannot hold the data');
  });

  it('whose name is too long is refused', async () => {
    await using folder = await makeTempDir();
    await expect(takeDataDir(join(folder.path, 'x'.repeat(300)))).rejects.toThrow(
      'its name is too long',
    );
  });

  it('is made with the folders above it, and taken again after it was given up', async () => {
    await using folder = await makeTempDir();
    const directory = join(folder.path, 'a', 'b');
    await (await takeDataDir(directory))();
    await loadSecrets(directory);
    await mkdir(join(directory, 'more'));
    const giveUp = await takeDataDir(directory);
    await expect(takeDataDir(directory)).rejects.toThrow('is in use by another signalbox');
    await giveUp();
  });
});
