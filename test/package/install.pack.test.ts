/** The package as a user gets it: packed, installed into an empty folder, and put to work. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { startProcess } from '../support/child-process.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const INSTALL_LIMIT_MS = 6 * 60_000;
const run = promisify(execFile);

/** npm and npx as a shell outside of this project has them: the machine's own Node first. */
function shellEnv(): NodeJS.ProcessEnv {
  const path = (process.env.PATH ?? '').split(':').filter((part) => !part.includes('node_modules'));
  const kept = Object.entries(process.env).filter(([name]) => !/^(npm_|INIT_CWD)/.test(name));
  return { ...Object.fromEntries(kept), PATH: path.join(':'), NODE_ENV: '' };
}

/** Process ids whose command line names the folder. */
async function processesIn(folder: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const commands = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return pids.filter((_pid, index) => commands[index]?.includes(folder));
}

interface Ready {
  readonly url: string;
  readonly token: string;
}

async function succeededRun(ready: Ready): Promise<true | undefined> {
  const response = await fetch(`${ready.url}/api/v1/runs?workflow=hello`, {
    headers: { authorization: `Bearer ${ready.token}` },
  });
  const { items } = (await response.json()) as { items: { state: string }[] };
  return items.some((item) => item.state === 'succeeded') ? true : undefined;
}

test(
  'npm i, init and up in an empty folder run the workflow that init wrote, with types',
  async () => {
    await using temp = await makeTempDir('package');
    const env = shellEnv();
    await run('npm', ['pack', '--pack-destination', temp.path], { cwd: ROOT, env });
    const archive = (await readdir(temp.path)).find((name) => name.endsWith('.tgz')) ?? '';
    await run('npm', ['install', '--no-audit', '--no-fund', `./${archive}`], {
      cwd: temp.path,
      env,
      timeout: INSTALL_LIMIT_MS,
      maxBuffer: 64 * 1024 * 1024,
    });
    await run('npx', ['signalbox', 'init'], { cwd: temp.path, env });
    expect(existsSync(join(temp.path, 'workflows', 'hello.ts'))).toBe(true);

    const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
    const types = await run(process.execPath, [tsc, '-p', temp.path], {
      cwd: temp.path,
      env,
    }).catch((error: { stdout: string }) => ({ stdout: error.stdout }));
    expect(types.stdout).toBe('');

    const ports = ['--port', '0', '--otlp-port', '0', '--clickhouse-port', '0'];
    await using up = startProcess('npx', ['signalbox', 'up', '--json', ...ports], {
      cwd: temp.path,
      env,
    });
    const ready = JSON.parse(await up.waitForLine(/^\{"url"/, 90_000)) as Ready;
    await waitFor(() => succeededRun(ready), {
      timeoutMs: 90_000,
      what: 'the run that is due each minute',
    });
    await up.stop('SIGTERM', 15_000);
    await waitFor(async () => ((await processesIn(temp.path)).length === 0 ? true : undefined), {
      timeoutMs: 10_000,
      what: 'all processes of the instance to end',
    });
  },
  INSTALL_LIMIT_MS + 4 * 60_000,
);
