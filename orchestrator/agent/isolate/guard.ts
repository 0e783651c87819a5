/**
 * Tasks that share the agent's process must not end it. Where the code of a task calls `process.exit` and its like,
 * or throws where nobody catches, the task fails and nothing else; the async context tells which task it is.
 */
import { constants } from 'node:os';
import { currentTask, type TaskScope } from '../task-scope.ts';

/** The code of a task asked for the end of its process. */
class ProcessExit extends Error {
  override readonly name = 'ProcessExit';
}

/** Where the watcher of the process asks which task blocks it; it evaluates that in the blocked code. */
const BLOCKING_TASK = Symbol.for('signalbox.blocking-task');

/** Signals that a process survives unless it listens to them. */
const HARMLESS: ReadonlySet<string | number> = new Set([
  ...[0, 'SIGCHLD', 'SIGCONT', 'SIGURG', 'SIGWINCH'],
  ...[constants.signals.SIGCHLD, constants.signals.SIGCONT],
  ...[constants.signals.SIGURG, constants.signals.SIGWINCH],
]);

let guarded = false;

/**
 * Guards this process, for as long as it lives.
 * @param log told of what belongs to no task, or to one that has ended
 */
export function guardProcess(log: (message: string) => void): void {
  if (guarded) return;
  guarded = true;
  process.on('uncaughtException', (error) => stray(error, 'an exception that nothing caught', log));
  process.on('unhandledRejection', (error) =>
    stray(error, 'a rejected promise that nothing awaited', log),
  );
  guardExits();
  Object.defineProperty(globalThis, BLOCKING_TASK, {
    value: () => currentTask()?.task.assignment.token ?? null,
  });
}

function guardExits(): void {
  const { exit, abort, kill } = process;
  const own = process as unknown as { reallyExit(code?: number): never };
  const reallyExit = own.reallyExit.bind(process);
  const refuse = (call: string) => {
    const scope = currentTask();
    if (scope !== undefined) refuseIn(scope, call);
  };
  process.exit = (code) => {
    refuse(`process.exit(${code ?? ''})`);
    return exit.call(process, code);
  };
  own.reallyExit = (code) => {
    refuse(`process.reallyExit(${code ?? ''})`);
    return reallyExit(code);
  };
  process.abort = () => {
    refuse('process.abort()');
    return abort.call(process);
  };
  process.kill = (pid, signal) => {
    const isOwn = pid === 0 || Math.abs(pid) === process.pid;
    if (isOwn && !HARMLESS.has(signal ?? 'SIGTERM')) {
      refuse(`process.kill(${pid}, ${JSON.stringify(signal ?? 'SIGTERM')})`);
    }
    return kill.call(process, pid, signal);
  };
}

function refuseIn({ task, log }: TaskScope, call: string): never {
  const error = new ProcessExit(
    `its code called ${call}, which would have ended the agent and all other tasks in its process`,
  );
  log.error(`${call} was called: the task ends, its agent goes on`);
  task.crash(error);
  throw error;
}

function stray(thrown: unknown, what: string, log: (message: string) => void): void {
  const shown = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  const scope = currentTask();
  // Refused exits reach this place as well, and are told already.
  if (scope === undefined || scope.task.over) {
    if (thrown instanceof ProcessExit) return;
    scope?.log.warn(`after the end of the task: ${what}: ${shown}`);
    log(`stray error of a task: ${shown}`);
    return;
  }
  scope.log.error(`${what} ends the task: ${shown}`);
  scope.task.crash(thrown);
}
