/**
 * Ids of runs: UUIDv7, increasing within a server, so that order of creation is order of ids and inserts touch
 * the end of each index only. A run's trace id is the same 128 bits, unless the trigger brought one.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../domain/time.ts';

/** Ids that one millisecond holds before the next one is borrowed. */
const PER_MS = 4096;
const TRACEPARENT = /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** Makes a generator of ids; each is greater than the one before, whatever the clock does. */
export function createRunIds(clock: Clock): () => string {
  let lastMs = 0;
  let count = 0;
  let random = Buffer.alloc(0);
  let used = 0;
  return () => {
    const now = clock.now();
    if (now > lastMs) {
      lastMs = now;
      count = 0;
    } else if (++count === PER_MS) {
      lastMs += 1;
      count = 0;
    }
    if (used + 8 > random.length) {
      random = randomBytes(4096);
      used = 0;
    }
    const tail = random.toString('hex', used, used + 8);
    used += 8;
    const time = lastMs.toString(16).padStart(12, '0');
    const variant = '89ab'[Number.parseInt(tail.charAt(0), 16) & 3];
    return `${time.slice(0, 8)}-${time.slice(8)}-7${count.toString(16).padStart(3, '0')}-${variant}${tail.slice(1, 4)}-${tail.slice(4)}`;
  };
}

/** The trace context of a run's tasks: what the trigger brought, or one made of the run's id. */
export function traceparentOf(runId: string, given: string | null): string {
  if (given !== null && TRACEPARENT.test(given)) return given;
  const id = runId.replaceAll('-', '');
  return `00-${id}-${id.slice(16)}-01`;
}

/** Trace id of a run, 32 hexadecimal digits. */
export function traceIdOf(runId: string, given: string | null): string {
  return traceparentOf(runId, given).slice(3, 35);
}
