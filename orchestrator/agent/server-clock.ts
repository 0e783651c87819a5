/**
 * The agent's clock keeps to the server's: moments that one agent records (when a flow is to wake, when an attempt
 * began) are read by others, on machines whose clocks may differ by minutes. Each registration and heartbeat tells
 * the server's time.
 */
import { createFollowingClock } from '../../domain/following-clock.ts';
import { type Clock, systemClock } from '../../domain/time.ts';
import type { Transport } from './transport.ts';

/** The same transport, and a clock that what it hears corrects. */
export function followServer(transport: Transport): { transport: Transport; clock: Clock } {
  const started = performance.now();
  const guess = { askedAt: started, answeredAt: started, remoteNow: systemClock.now() };
  const clock = createFollowingClock(guess, () => performance.now(), Number.POSITIVE_INFINITY);
  async function heard<T extends { readonly now?: number }>(call: () => Promise<T>): Promise<T> {
    const askedAt = performance.now();
    const reply = await call();
    if (reply.now !== undefined) {
      clock.correct({ askedAt, answeredAt: performance.now(), remoteNow: reply.now });
    }
    return reply;
  }
  return {
    clock,
    transport: {
      ...transport,
      register: (request) => heard(() => transport.register(request)),
      heartbeat: (id, report, limitMs) => heard(() => transport.heartbeat(id, report, limitMs)),
    },
  };
}
