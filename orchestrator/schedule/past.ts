/** Makes tasks ready that waited for themselves in the scheduled run before. */
import type { Reconciler } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { releasePast } from '../store/task-past.ts';

const EVERY_MS = 1_000;
const MAX_AT_ONCE = 1_000;

export function createPastTasks(db: Db, ready: (queues: ReadonlySet<string>) => void): Reconciler {
  return {
    name: 'tasks-of-the-past',
    everyMs: EVERY_MS,
    async run() {
      const queues = await releasePast(db, MAX_AT_ONCE);
      if (queues.size > 0) ready(queues);
    },
  };
}
