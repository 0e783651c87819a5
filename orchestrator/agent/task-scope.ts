/**
 * Which attempt the running code belongs to, through promises, timers and callbacks: so that what it prints goes to
 * its log, and what it breaks outside of its promise is its own failure.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

import type { AttemptLog, LogBuffer } from './log-buffer.ts';
import type { RunningTask } from './running-task.ts';

export class TaskScope {
  readonly task: RunningTask;
  readonly #logs: LogBuffer;
  #log: AttemptLog | undefined;
  #atEnd: (() => void)[] | undefined;

  constructor(task: RunningTask, logs: LogBuffer) {
    this.task = task;
    this.#logs = logs;
  }

  get log(): AttemptLog {
    this.#log ??= this.#logs.of(this.task.assignment);
    return this.#log;
  }

  /** Calls it when the attempt ends in this process. */
  atEnd(work: () => void): void {
    this.#atEnd ??= [];
    this.#atEnd.push(work);
  }

  end(): void {
    for (const work of this.#atEnd?.splice(0) ?? []) work();
  }
}

const scopes = new AsyncLocalStorage<TaskScope>();

/** Runs code that belongs to an attempt. */
export function withinTask<T>(scope: TaskScope, work: () => T): T {
  return scopes.run(scope, work);
}

/** The attempt that the running code belongs to; undefined for the agent's own code. */
export function currentTask(): TaskScope | undefined {
  return scopes.getStore();
}
