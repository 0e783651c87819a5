/**
 * Which runs are of a branch. Asked for each run that is told to somebody who looks on: where there is no environment
 * at all nothing is read, and what was read of a run is kept, since it never changes.
 */
import { environmentOf } from '../../domain/environment.ts';
import type { Clock } from '../../domain/time.ts';
import { isUuid } from '../runs/identifiers.ts';
import { createRecent } from '../runs/recent.ts';
import type { Db } from '../store/connection.ts';
import { isAnyEnvironment, readRunWorkflows } from '../store/environment.ts';

const MAX_KNOWN = 20_000;
/** How long it counts that there is none: a run of a new one may be told to production for that long. */
const NONE_FOR_MS = 2_000;

export function createRunEnvironments(
  db: Db,
  clock: Clock,
): (runIds: readonly string[]) => Promise<ReadonlyMap<string, string>> {
  const known = createRecent<string, string | null>(MAX_KNOWN, () => 1);
  let noneAt = Number.NEGATIVE_INFINITY;
  return async (runIds) => {
    if (Math.abs(clock.now() - noneAt) < NONE_FOR_MS) return new Map();
    const missing = runIds.filter((id) => known.get(id) === undefined && isUuid(id));
    if (missing.length > 0) {
      if (!(await isAnyEnvironment(db))) {
        noneAt = clock.now();
        return new Map();
      }
      for (const [id, workflow] of await readRunWorkflows(db, missing)) {
        known.set(id, environmentOf(workflow));
      }
    }
    return new Map(
      runIds.flatMap((id) => {
        const environment = known.get(id) ?? null;
        return environment === null ? [] : [[id, environment] as const];
      }),
    );
  };
}
