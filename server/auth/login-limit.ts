/** Slows guessing: so many logins an address in a minute, then 429. */
import { SignalboxError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/time.ts';

const WINDOW_MS = 60_000;
const MAX_LOGINS = 30;
const MAX_ADDRESSES = 10_000;

export function createLoginLimit(clock: Clock) {
  const seen = new Map<string, { count: number; sinceMs: number }>();
  return {
    /** @throws too-many-requests */
    take(address: string): void {
      const now = clock.now();
      if (seen.size >= MAX_ADDRESSES) seen.clear();
      const entry = seen.get(address);
      if (!entry || now - entry.sinceMs > WINDOW_MS) {
        seen.set(address, { count: 1, sinceMs: now });
        return;
      }
      entry.count += 1;
      if (entry.count > MAX_LOGINS) {
        throw new SignalboxError('too-many-requests', `more than ${MAX_LOGINS} logins in a minute`);
      }
    },
  };
}
