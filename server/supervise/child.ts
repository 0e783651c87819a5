/**
 * A process of the product under the supervisor: it says over its channel when it is ready, or why it cannot
 * be; when the channel closes it ends by itself. It has a process group of its own, so that Ctrl+C reaches
 * only the supervisor, which ends the parts in order.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { open } from 'node:fs/promises';

/** A part that runs. */
export interface RunningPart<T> {
  readonly pid: number;
  /** What it said when it was ready. */
  readonly ready: T;
  /** Settles with how it ended. */
  readonly exited: Promise<string>;
  stop(): Promise<void>;
}

export interface ChildOptions {
  readonly name: string;
  readonly module: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly logPath: string;
  readonly readyLimitMs: number;
  readonly stopLimitMs: number;
  /** Sent to it at once. */
  readonly first?: object;
  readonly nodeOptions?: readonly string[];
  /** Takes the process as soon as it is started. */
  onStart?(child: ChildProcess): void;
}

type FirstWord = { readonly type: 'ready' } | { readonly type: 'failed'; readonly message: string };

/**
 * Starts a part and waits until it is ready.
 * @throws Error with the part's own words
 */
export async function startChild<T>(options: ChildOptions): Promise<RunningPart<T>> {
  const log = openSync(options.logPath, 'a', 0o600);
  const child = spawn(
    process.execPath,
    [...(options.nodeOptions ?? []), options.module, ...options.args],
    {
      stdio: ['ignore', log, log, 'ipc'],
      env: options.env,
      detached: true,
    },
  );
  closeSync(log);
  options.onStart?.(child);
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  const stop = () => stopChild(child, options.stopLimitMs);
  if (options.first) child.send(options.first);
  try {
    const ready = await firstWord(child, exited, options);
    return { pid: child.pid ?? -1, ready: ready as T, exited, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function firstWord(
  child: ChildProcess,
  exited: Promise<string>,
  { name, logPath, readyLimitMs }: ChildOptions,
): Promise<FirstWord> {
  const abort = new AbortController();
  const { signal } = abort;
  const timer = setTimeout(() => abort.abort(), readyLimitMs);
  try {
    const told = once(child, 'message', { signal }).then(([word]) => word as FirstWord);
    told.catch(() => undefined);
    const ended = exited.then(async (how): Promise<FirstWord> => {
      const said = await lastLines(logPath);
      return { type: 'failed', message: `${name} ended before it was ready (${how})\n${said}` };
    });
    const word = await Promise.race([told, ended]);
    if (word.type === 'failed') throw new PartError(word.message);
    return word;
  } catch (error) {
    if (!signal.aborted) throw error;
    const said = await lastLines(logPath);
    throw new PartError(`${name} was not ready within ${readyLimitMs / 1_000} s\n${said}`);
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
}

/** A part could not start; the message is the part's own. */
class PartError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'PartError';
  }
}

const LINES_SHOWN = 15;
const BYTES_SHOWN = 16_384;

/** The end of a log, however long it is; empty where there is none. */
export async function lastLines(path: string): Promise<string> {
  const file = await open(path).catch(() => undefined);
  if (file === undefined) return '';
  try {
    const { size } = await file.stat();
    const position = Math.max(0, size - BYTES_SHOWN);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(BYTES_SHOWN), { position });
    const text = buffer.toString('utf8', 0, bytesRead);
    return text.trimEnd().split('\n').slice(-LINES_SHOWN).join('\n');
  } finally {
    await file.close();
  }
}

async function stopChild(child: ChildProcess, limitMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  await ended;
  clearTimeout(timer);
}
