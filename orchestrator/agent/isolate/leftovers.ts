/** What a task leaves in its process: timers, child processes, errors that nothing caught. */
import { ChildProcess } from 'node:child_process';
import type { LogBuffer } from '../log-buffer.ts';
import { currentTask } from '../task-scope.ts';

/** Kinds of resources that belong to whoever made them and to nobody after him. Sockets may be a pool's. */
const OWN_KINDS: ReadonlySet<string> = new Set([
  'Timeout',
  'Immediate',
  'ProcessWrap',
  'MessagePort',
]);

export interface Children {
  /** Ids of those that run. */
  running(): readonly number[];
}

/** Keeps an eye on the child processes that are started from now on. */
export function watchChildren(): Children {
  const running = new Set<number>();
  const prototype = ChildProcess.prototype as unknown as {
    spawn(this: ChildProcess, ...args: unknown[]): unknown;
  };
  const { spawn } = prototype;
  prototype.spawn = function (this: ChildProcess, ...args: unknown[]) {
    const result = Reflect.apply(spawn, this, args);
    const { pid } = this;
    if (pid !== undefined) {
      running.add(pid);
      this.once('exit', () => running.delete(pid));
    }
    return result;
  };
  return { running: () => [...running] };
}

/** How many resources of each kind keep the process busy. */
export function busyKinds(): ReadonlyMap<string, number> {
  const kinds = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) {
    if (OWN_KINDS.has(kind)) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return kinds;
}

/** What is there now and was not before, in words; null for nothing. */
export function leftSince(
  before: ReadonlyMap<string, number>,
  children: readonly number[],
): string | null {
  const left = [...busyKinds()].flatMap(([kind, count]) => {
    const more = count - (before.get(kind) ?? 0);
    return more > 0 && kind !== 'ProcessWrap' ? [`${more} × ${kind}`] : [];
  });
  if (children.length > 0) left.push(`child processes ${children.join(', ')}`);
  return left.length === 0 ? null : left.join(', ');
}

/**
 * Errors outside of promises. @param take the running task's: whether it took the error
 */
export function watchStrays(
  take: (error: unknown, what: string) => boolean,
  logs: LogBuffer,
): void {
  const tell = (error: unknown, what: string) => {
    if (take(error, what)) return;
    const shown = error instanceof Error ? (error.stack ?? error.message) : String(error);
    currentTask()?.log.warn(`after the end of the task: ${what}: ${shown}`);
    void logs.flush();
  };
  process.on('uncaughtException', (error) => tell(error, 'an exception that nothing caught'));
  process.on('unhandledRejection', (error) =>
    tell(error, 'a rejected promise that nothing awaited'),
  );
}
