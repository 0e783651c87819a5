import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { waitFor } from './wait-for.ts';

/** A program that a test started, with what it has printed so far. */
export interface TestProcess extends AsyncDisposable {
  readonly pid: number;
  /** Everything printed on standard output so far. */
  stdout(): string;
  /** Everything printed on standard error so far. */
  stderr(): string;
  /** Exit code once it has ended (null after a signal), undefined while it runs. */
  exitCode(): number | null | undefined;
  /** Waits for a whole line of standard output that matches; fails at once when the process ends. */
  waitForLine(pattern: RegExp, timeoutMs?: number): Promise<string>;
  /** Waits for the end. */
  waitForExit(timeoutMs?: number): Promise<number | null>;
  /** Sends `signal`, and SIGKILL when the process still runs after `graceMs`. */
  stop(signal?: NodeJS.Signals, graceMs?: number): Promise<number | null>;
}

export interface ProcessOptions {
  cwd?: string;
  /** Added to the environment of the test; `undefined` takes a variable away. */
  env?: Record<string, string | undefined>;
}

/** Starts a program without a shell and without standard input. */
export function startProcess(
  command: string,
  args: readonly string[],
  options: ProcessOptions = {},
): TestProcess {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return observe(child, [command, ...args].join(' '));
}

function observe(child: ChildProcess, title: string): TestProcess {
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  let failure: Error | undefined;
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', (error) => {
      failure = error;
      resolve();
    });
  });
  const ended = () => failure !== undefined || child.exitCode !== null || child.signalCode !== null;
  const exitCode = () => (ended() ? child.exitCode : undefined);
  const report = () => `${title}\n--- stdout\n${stdout()}\n--- stderr\n${stderr()}`;

  async function waitForExit(timeoutMs = 30_000): Promise<number | null> {
    const abort = new AbortController();
    const late = delay(timeoutMs, 'late', { signal: abort.signal }).catch(() => 'in time');
    const first = await Promise.race([closed, late]);
    abort.abort();
    if (first === 'late') throw new Error(`did not end within ${timeoutMs} ms: ${report()}`);
    if (failure) throw new Error(`could not be started: ${title}`, { cause: failure });
    return child.exitCode;
  }

  async function waitForLine(pattern: RegExp, timeoutMs = 30_000): Promise<string> {
    const find = () =>
      stdout()
        .split('\n')
        .slice(0, -1)
        .find((line) => pattern.test(line));
    const result = await waitFor(() => find() ?? (ended() ? 'ended' : undefined), {
      timeoutMs,
      what: `a line like ${pattern} from ${title}`,
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${report()}`);
    });
    if (result !== 'ended') return result;
    await closed;
    const line = find();
    if (line === undefined) throw new Error(`ended before a line like ${pattern}: ${report()}`);
    return line;
  }

  async function stop(signal: NodeJS.Signals = 'SIGTERM', graceMs = 10_000) {
    if (ended()) return child.exitCode;
    child.kill(signal);
    await waitForExit(graceMs).catch(() => child.kill('SIGKILL'));
    if (!ended()) await once(child, 'exit');
    return child.exitCode;
  }

  return {
    pid: child.pid ?? -1,
    stdout,
    stderr,
    exitCode,
    waitForLine,
    waitForExit,
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
    },
  };
}

function collect(stream: Readable | null): () => string {
  let text = '';
  stream?.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  return () => text;
}
