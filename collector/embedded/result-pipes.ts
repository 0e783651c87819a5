/**
 * Results on their way out. The engine's own call for streams holds up the event loop while it
 * analyses a query; so a query runs as an ordinary call on another thread and writes its result into a
 * named pipe, which is read like a socket: in pieces, in any format, and the engine waits while the
 * client is slow. The pipes are made once and used again, each by one query at a time.
 */
import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, constants, mkdirSync, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { promisify } from 'node:util';

/** Relative to the data directory, which is the process's working directory. */
const DIRECTORY = 'outgoing';

/** What a query writes; at the end of the iteration, what the query took. */
export type Reading<T> = AsyncGenerator<Uint8Array, T, undefined>;

/** Lends pipes. */
export interface ResultPipes {
  /**
   * Runs `work` with a pipe's path, and gives what is written into it.
   * @param abandon is called when the reader stops early: it must bring the work to an end
   */
  read<T>(work: (path: string) => Promise<T>, abandon: () => void): Reading<T>;
}

/**
 * Makes the pipes.
 * @throws Error where the system has no command `mkfifo`
 */
export function makeResultPipes(count: number): ResultPipes {
  rmSync(DIRECTORY, { recursive: true, force: true });
  mkdirSync(DIRECTORY, { mode: 0o700 });
  const free = newPaths(count);
  execFileSync('mkfifo', ['-m', '600', ...free]);

  /** After a failure the engine may hold the pipe open for a while: it is never used again. */
  const replace = async (path: string) => {
    rmSync(path, { force: true });
    if (free.length < count) free.push(await freshPath());
  };

  return {
    async *read(work, abandon) {
      const path = free.pop() ?? (await freshPath());
      const pipe = openPipe(path);
      const working = work(path).finally(() => endPipe(path));
      // Without this the reader would wait for an engine that failed with the pipe in its hand.
      working.catch(() => pipe.destroy());
      let isOpen = false;
      let isDone = false;
      try {
        for await (const piece of pipe.iterator({ destroyOnReturn: false })) {
          isOpen = true;
          yield piece as Buffer;
        }
        const result = await working;
        isDone = true;
        return result;
      } catch (error) {
        // The pipe's own error says only that it was cut; the work knows why.
        await working;
        throw error;
      } finally {
        if (!isDone) {
          abandon();
          if (isOpen) pipe.destroy();
          else leave(pipe).catch(() => undefined);
        }
        const isWell = await working.then(
          () => true,
          () => false,
        );
        pipe.destroy();
        if (isWell) free.push(path);
        else replace(path).catch(() => undefined);
      }
    },
  };
}

const run = promisify(execFile);

async function freshPath(): Promise<string> {
  const [path = ''] = newPaths(1);
  await run('mkfifo', ['-m', '600', path]);
  return path;
}

function newPaths(count: number): string[] {
  return Array.from({ length: count }, () => `${DIRECTORY}/${randomBytes(24).toString('hex')}`);
}

/**
 * Goes away once the engine has opened its end: what it still writes then fails at once. Before that
 * the engine would wait for a reader without end.
 */
async function leave(pipe: Socket): Promise<void> {
  for await (const _piece of pipe) break;
  pipe.destroy();
}

function openPipe(path: string): Socket {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const pipe = new Socket({ fd: descriptor, readable: true, writable: false });
  pipe.on('error', () => undefined);
  return pipe;
}

/** A writer that comes and goes: the reader sees an end, even where the engine never opened the pipe. */
function endPipe(path: string): void {
  try {
    closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK));
  } catch {
    // Nobody reads any more.
  }
}
