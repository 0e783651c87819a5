/** How a queue stands, in a sign and a few words. */
import type { Agent } from '../../../../domain/agent.ts';
import type { QueueSummary } from '../../api/types.ts';
import { formatCount } from '../../parts/format.ts';
import type { SignName } from '../../parts/sign-of.ts';

/** The queue of this name limits all others together. */
export const ALL_QUEUES = '*';

/** How many tasks wait in it: for an agent, or at a limit. */
export const waitsIn = ({ ready, waiting = 0 }: QueueSummary): number => ready + waiting;

/** @param agents null where it is not known who serves it */
export function standingOf(
  queue: QueueSummary,
  agents: readonly Agent[] | null,
): { readonly sign: SignName; readonly word: string } {
  if (queue.paused) return { sign: 'off', word: 'paused' };
  const waits = waitsIn(queue);
  if (waits > 0 && agents !== null && queue.name !== ALL_QUEUES && !isServed(queue.name, agents)) {
    return { sign: 'danger', word: 'no agent' };
  }
  if ((queue.waiting ?? 0) > 0) return { sign: 'caution', word: 'at a limit' };
  return queue.running > 0 ? { sign: 'moving', word: 'working' } : { sign: 'clear', word: 'open' };
}

function isServed(name: string, agents: readonly Agent[]): boolean {
  return agents.some(
    ({ state, queues }) =>
      (state === 'online' || state === 'late') &&
      (queues.includes(name) || queues.includes(ALL_QUEUES)),
  );
}

/** What holds it back: `at most 4 at once, 100 a 1m`. */
export function limitsOf({ concurrency, rateLimit }: QueueSummary): string {
  const parts = [
    concurrency === null ? null : `at most ${concurrency} at once`,
    rateLimit ? `${formatCount(rateLimit.count, 'start')} every ${rateLimit.per}` : null,
  ].filter((part) => part !== null);
  return parts.length === 0 ? 'no limit' : parts.join(', ');
}
