/**
 * Many new runs are made in parts, in one transaction: while PostgreSQL stores one, the next is drafted, and between
 * them the process does what else is due, so that a trigger of thousands of runs holds up no heartbeat. Only where no
 * part needs to know what another has stored.
 */
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { RunRequest } from './trigger.ts';
import type { Versions } from './versions.ts';

const RUNS_A_PART = 500;

/** Whether no run of these has to know of another: no keys, and no limit of how many work at once. */
function areApart(requests: readonly RunRequest[], versions: Versions): boolean {
  return requests.every(
    ({ idempotencyKey, maxActiveRuns, versionId }) =>
      !idempotencyKey && maxActiveRuns === null && versions.get(versionId)?.concurrency === null,
  );
}

/**
 * Makes all of them, in parts where that may be.
 * @param make of one part; its statements are sent before the part behind it is drafted
 */
export async function makeInParts<Made>(
  requests: readonly RunRequest[],
  versions: Versions,
  make: (part: readonly RunRequest[]) => Promise<readonly Made[]>,
): Promise<readonly Made[]> {
  if (requests.length <= RUNS_A_PART || !areApart(requests, versions)) return make(requests);
  const parts: Promise<readonly Made[]>[] = [];
  for (let at = 0; at < requests.length; at += RUNS_A_PART) {
    const part = make(requests.slice(at, at + RUNS_A_PART));
    // It is thrown below, once nothing more is sent.
    part.catch(() => undefined);
    parts.push(part);
    await yieldToOthers();
  }
  return (await Promise.all(parts)).flat();
}
