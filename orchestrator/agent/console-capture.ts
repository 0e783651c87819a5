/** What tasks print goes to the log of their run as well: most code says what it has to say by `console`. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { format } from 'node:util';
import type { TaskLog } from '../define/context.ts';

const LEVELS = {
  debug: 'debug',
  log: 'info',
  info: 'info',
  warn: 'warn',
  error: 'error',
} as const satisfies Record<string, keyof TaskLog>;

export class ConsoleCapture {
  readonly #log = new AsyncLocalStorage<() => TaskLog>();

  /** Starts capturing in this process; what is printed is still printed. */
  constructor() {
    for (const name of Object.keys(LEVELS) as (keyof typeof LEVELS)[]) {
      const print = console[name].bind(console);
      console[name] = (...values: unknown[]) => {
        print(...values);
        this.#log
          .getStore()?.()
          [LEVELS[name]](format(...values));
      };
    }
  }

  /** Runs code whose output belongs to a log. */
  within<T>(log: () => TaskLog, work: () => T): T {
    return this.#log.run(log, work);
  }
}
