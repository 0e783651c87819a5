/** Processes of the stage that are started again at the same place when they end, as a supervisor would. */
import { descendantsOf } from '../server/process-tree.ts';
import type { TestProcess } from '../support/child-process.ts';

/** A supervisor's pause before it starts again what ended by itself. */
const AGAIN_MS = 500;
const LAST_WORDS = 500;

/** A process that is started again where it was. */
export interface Part extends AsyncDisposable {
  readonly name: string;
  /** The present process. */
  process(): TestProcess;
  /** What those printed last that ended by themselves, such as a server whose database was away when it started. */
  readonly ends: readonly string[];
  /** Kills it without a word, and starts it again. */
  kill(): Promise<void>;
}

export function supervised(name: string, start: () => TestProcess): Part {
  const ends: string[] = [];
  /** Whether it ends since it is told to. */
  let ending = false;
  let current = watch(start());

  function watch(process: TestProcess): TestProcess {
    process.waitForExit(2 ** 31 - 1).then(
      () => {
        if (ending || process !== current) return;
        ends.push(`${process.stdout()}\n${process.stderr()}`.trim().slice(-LAST_WORDS));
        setTimeout(() => {
          if (!ending && process === current) current = watch(start());
        }, AGAIN_MS).unref();
      },
      () => undefined,
    );
    return process;
  }

  return {
    ...{ name, ends },
    process: () => current,
    async kill() {
      ending = true;
      await killFamily(current);
      ending = false;
      current = watch(start());
    },
    async [Symbol.asyncDispose]() {
      ending = true;
      await killFamily(current);
    },
  };
}

/** Kills a process with all that it has started. */
async function killFamily(part: TestProcess): Promise<void> {
  for (const pid of await familyOf(part.pid)) tell(pid, 'SIGKILL');
  await part.stop('SIGKILL');
}

/** A process and all below it. */
export async function familyOf(pid: number): Promise<readonly number[]> {
  return [pid, ...(await descendantsOf(pid))];
}

/** Sends a signal to a process that may have ended by now. */
export function tell(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
