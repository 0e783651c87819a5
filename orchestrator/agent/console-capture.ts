/** What tasks print goes to the log of their run as well: most code says what it has to say by `console`. */
import { format } from 'node:util';
import type { TaskLog } from '../define/context.ts';
import { currentTask } from './task-scope.ts';

const LEVELS = {
  debug: 'debug',
  log: 'info',
  info: 'info',
  warn: 'warn',
  error: 'error',
} as const satisfies Record<string, keyof TaskLog>;

let capturing = false;

/**
 * Starts capturing in this process; once is enough.
 * @param echo whether what is printed is still printed
 */
export function captureConsole(echo: boolean): void {
  if (capturing) return;
  capturing = true;
  for (const name of Object.keys(LEVELS) as (keyof typeof LEVELS)[]) {
    const print = console[name].bind(console);
    console[name] = (...values: unknown[]) => {
      const scope = currentTask();
      if (scope === undefined) {
        print(...values);
        return;
      }
      const { log } = scope;
      // A line that its log has no room for is not printed either: printing a million of them stops all others.
      if (!log.hasRoom(LEVELS[name])) return;
      const text = format(...values);
      log[LEVELS[name]](text);
      if (echo) print(text);
    };
  }
}
