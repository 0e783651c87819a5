#!/usr/bin/env node
/**
 * The command `signalbox`. Runs the command line under Node 24: the Node at hand where it is new
 * enough, else the one that the package `node` brought along. In the repository the command line runs
 * from its TypeScript sources; installed as a package it runs from `dist/`, since Node strips no types
 * under `node_modules`.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const LEAST_NODE = 24;
const WATCH_PARENT_EVERY_MS = 250;
/** Set for a process that was started under another Node. */
const WRAPPED = 'WRAPPED_BY_SIGNALBOX';

endWithParent();
if (Number.parseInt(process.versions.node, 10) >= LEAST_NODE) {
  process.exitCode = await run(process.argv.slice(2));
} else {
  runUnder(packagedNode());
}

/**
 * npm and npx run this command in a shell. A signal to npm ends npm and the shell, but the shell hands it on
 * to nobody: what shows it here is that the parent is another process. The same shows that the process which
 * started this one under another Node was killed.
 */
function endWithParent() {
  if (!['npm_execpath', 'npm_command', WRAPPED].some((name) => name in process.env)) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, WATCH_PARENT_EVERY_MS);
  timer.unref();
}

/** An agent is watched by this process, which loads nothing else; every other command runs in it. */
async function run(argv) {
  if (argv[0] === 'agent' && !process.connected) {
    const { keepAgent } = await import(moduleOf('server/supervise/keep-agent'));
    return keepAgent(argv);
  }
  const { main } = await import(moduleOf('server/cli/main'));
  return main(argv);
}

/** A module of the product: a source in the repository, built code in a package. */
function moduleOf(path) {
  const built = new URL(`../dist/${path}.js`, import.meta.url);
  const source = new URL(`../${path}.ts`, import.meta.url);
  const installed = fileURLToPath(import.meta.url).includes(`${join('/', 'node_modules', '/')}`);
  if (!installed && existsSync(source)) return source.href;
  if (existsSync(built)) return built.href;
  fail(`this copy of Signalbox holds no built code (${fileURLToPath(built)}): install it again`);
}

/** The path of the Node that came with the package `node`. */
function packagedNode() {
  const advice = `Signalbox needs Node ${LEAST_NODE} or later; this is ${process.version}`;
  let folder;
  try {
    folder = dirname(createRequire(import.meta.url).resolve('node/package.json'));
  } catch {
    fail(
      `${advice}. Run \`npm install\` here, which brings it along, or install Node ${LEAST_NODE}.`,
    );
  }
  const path = join(folder, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (existsSync(path)) return path;
  fail(
    `${advice}, and the package "node" has no program for this machine yet. ` +
      `Run \`npm rebuild node\` (install scripts must be allowed), or install Node ${LEAST_NODE}.`,
  );
}

/** Runs this very command again under another Node; signals and the exit code pass through. */
function runUnder(node) {
  const child = spawn(node, [...process.execArgv, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, [WRAPPED]: '1' },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2']) {
    // A terminal sends its signals to the child as well; once is enough.
    const fromTerminal = process.stdin.isTTY && (signal === 'SIGINT' || signal === 'SIGQUIT');
    process.on(signal, () => {
      if (!fromTerminal) child.kill(signal);
    });
  }
  child.on('error', (error) => fail(`${node} could not be started: ${error.message}`));
  child.on('exit', (code, signal) => {
    process.exit(signal ? 128 + constants.signals[signal] : (code ?? 1));
  });
}

/** @returns {never} */
function fail(message) {
  process.stderr.write(`signalbox: ${message}\n`);
  process.exit(1);
}
