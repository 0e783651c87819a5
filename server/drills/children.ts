/**
 * Processes that a drill starts: the instance, its agents, and what causes the trouble. Each lives in a
 * process of its own, is ended by its pid, and ends by itself when the drill's process is gone (its standard
 * input closes).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface Child {
  readonly name: string;
  readonly process: ChildProcess;
  /** Resolves with the first line of standard output for which `pick` gives a value. */
  line<T>(limitMs: number, pick: (line: string) => T | undefined): Promise<T>;
  /** What it wrote to standard error, for a report of what went wrong. */
  errors(): string;
  stop(): Promise<void>;
}

const STOP_LIMIT_MS = 12_000;
const ERRORS_KEPT = 20_000;

/** Starts a module of this package with the same Node. */
export function startChild(
  name: string,
  module: URL,
  args: readonly string[],
  env: Record<string, string>,
): Child {
  const child = spawn(process.execPath, [fileURLToPath(module), ...args], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-ERRORS_KEPT);
  });
  const lines = createInterface({ input: child.stdout });
  const seen: string[] = [];
  lines.on('line', (line) => {
    if (seen.length < 1_000) seen.push(line);
  });
  return {
    name,
    process: child,
    errors: () => errors,
    line: (limitMs, pick) =>
      firstLine({ name, child, lines, seen, errors: () => errors }, limitMs, pick),
    stop: () => stopChild(child),
  };
}

interface Watched {
  readonly name: string;
  readonly child: ChildProcess;
  readonly lines: ReturnType<typeof createInterface>;
  readonly seen: readonly string[];
  errors(): string;
}

function firstLine<T>(
  watched: Watched,
  limitMs: number,
  pick: (line: string) => T | undefined,
): Promise<T> {
  for (const line of watched.seen) {
    const value = pick(line);
    if (value !== undefined) return Promise.resolve(value);
  }
  return new Promise((resolve, reject) => {
    const fail = (what: string) =>
      settle(() => reject(new Error(`${watched.name} ${what}\n${watched.errors()}`)));
    const timer = setTimeout(() => fail(`said nothing expected in ${limitMs / 1000} s`), limitMs);
    const onLine = (line: string) => {
      const value = pick(line);
      if (value !== undefined) settle(() => resolve(value));
    };
    const onExit = (code: number | null) => fail(`ended with code ${code}`);
    const settle = (end: () => void) => {
      clearTimeout(timer);
      watched.lines.off('line', onLine);
      watched.child.off('exit', onExit);
      end();
    };
    watched.lines.on('line', onLine);
    watched.child.once('exit', onExit);
    if (watched.child.exitCode !== null) onExit(watched.child.exitCode);
  });
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await ended;
  clearTimeout(timer);
}

/** For the children's own modules: end when the drill that started them is gone. */
export function endWithParent(): void {
  process.stdin.resume();
  process.stdin.once('end', () => process.exit(0));
  process.stdin.once('error', () => process.exit(0));
}
