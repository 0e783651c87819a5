/** Makes tasks ready that waited for themselves in the scheduled run before. */
import type { Reconciler } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { anyWaitsForPast, FIRST_PLACE, type PastPlace, releasePast } from '../store/task-past.ts';

const EVERY_MS = 1_000;
const AT_ONCE = 1_000;
/** Of one look; the next one goes on where it ended. */
const MAX_ROUNDS = 20;

export function createPastTasks(db: Db, ready: (queues: ReadonlySet<string>) => void): Reconciler {
  let place: PastPlace | null = null;
  return {
    name: 'tasks-of-the-past',
    everyMs: EVERY_MS,
    async run() {
      if (!(await anyWaitsForPast(db))) return;
      for (let round = 0; round < MAX_ROUNDS; round += 1) {
        const { queues, next } = await releasePast(db, place ?? FIRST_PLACE, AT_ONCE);
        place = next;
        if (queues.length > 0) ready(new Set(queues));
        if (next === null) return;
      }
    },
  };
}
