/**
 * `npm run dev`: everything up, and up again after each change of the code; the console is built anew at
 * each change of its own. Options go to `signalbox up`. A change that comes while parts are still ending
 * counts for the next start, so that there is never a second instance on the same data.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const CODE = ['domain', 'orchestrator', 'engines', 'collector', 'incidents', 'runbooks', 'server'];
/** Editors write a file in several steps; one restart is enough. */
const QUIET_MS = 200;

let instance: ChildProcess | undefined;
let changed = false;
let restarting = false;
let ending = false;

function start(): void {
  const command = join(ROOT, 'bin', 'signalbox.js');
  instance = spawn(process.execPath, [command, 'up', ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
}

async function stop(): Promise<void> {
  const child = instance;
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

async function restart(): Promise<void> {
  changed = true;
  if (restarting) return;
  restarting = true;
  while (changed && !ending) {
    changed = false;
    await stop();
    if (!ending) start();
  }
  restarting = false;
}

function watchCode(): void {
  let timer: NodeJS.Timeout | undefined;
  for (const folder of CODE) {
    watch(join(ROOT, folder), { recursive: true }, (_event, file) => {
      if (!file || !/\.(ts|sql)$/.test(file)) return;
      clearTimeout(timer);
      timer = setTimeout(() => {
        console.error(`\n${join(folder, file)} changed: starting again`);
        void restart();
      }, QUIET_MS);
    });
  }
}

const vite = join(ROOT, 'node_modules', 'vite', 'bin', 'vite.js');
const consoleBuild = spawn(process.execPath, [vite, 'build', '--watch', '--logLevel', 'warn'], {
  cwd: join(ROOT, 'console'),
  stdio: 'inherit',
});
watchCode();
start();

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, async () => {
    if (ending) return;
    ending = true;
    consoleBuild.kill('SIGTERM');
    await stop();
    process.exit(0);
  });
}
