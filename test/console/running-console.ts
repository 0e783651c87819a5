/** A whole Signalbox with its console built, as `signalbox up` starts it. */
import { join } from 'node:path';
import { startProcess, type TestProcess } from '../support/child-process.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const START_LIMIT_MS = 120_000;

export interface RunningConsole extends AsyncDisposable {
  readonly url: string;
  readonly loginUrl: string;
  readonly token: string;
  readonly process: TestProcess;
}

/** Builds the console where its sources changed. */
export async function buildConsole(): Promise<void> {
  const build = startProcess(process.execPath, ['bin/build.js', 'console'], { cwd: ROOT });
  const code = await build.waitForExit(START_LIMIT_MS);
  if (code !== 0) throw new Error(`the console does not build: ${build.stderr()}`);
}

/** Starts the command line; the caller stops it. */
function startSignalbox(args: readonly string[]): TestProcess {
  return startProcess(process.execPath, ['bin/signalbox.js', ...args], { cwd: ROOT });
}

export async function startConsole(): Promise<RunningConsole> {
  await buildConsole();
  const directory = await makeTempDir('console');
  const up = startSignalbox([
    ...['up', '--json', '--data-dir', join(directory.path, 'data')],
    ...['--port', '0', '--otlp-port', '0', '--clickhouse-port', '0'],
  ]);
  const ready = JSON.parse(await up.waitForLine(/^\{/, START_LIMIT_MS)) as {
    url: string;
    loginUrl: string;
    token: string;
  };
  return {
    ...ready,
    process: up,
    async [Symbol.asyncDispose]() {
      await up.stop('SIGTERM', 20_000);
      await directory.remove();
    },
  };
}
