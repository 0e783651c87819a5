import { describe, expect, it } from 'vitest';
import { openWaiter } from '../../../orchestrator/dispatch/waiter.ts';
import { createWaitingClaims } from '../../../orchestrator/dispatch/waiting-claims.ts';

describe('claims that wait', () => {
  it('are filled in turn by whoever makes tasks ready in this server', () => {
    const waiting = createWaitingClaims();
    const { signal } = new AbortController();
    const waiters = ['1', '2', '3', '4'].map((id) => {
      const queues = ['fair'];
      const waiter = openWaiter({
        session: {
          ...{ id, publicId: id, name: id, queues, concurrency: 10, labels: [] },
          queueSet: new Set(queues),
        },
        ...{ capacity: 100, waitMs: 0, signal },
        answered: () => {},
        gone: waiting.remove,
        undelivered: () => {},
      });
      waiting.add(waiter);
      return waiter;
    });
    for (let count = 0; count < 40; count += 1) {
      const offer = waiting.find('fair');
      if (offer) offer.left -= 1;
    }
    expect(waiters.map(({ left }) => 100 - left)).toEqual([10, 10, 10, 10]);
    expect(waiting.find('other')).toBe(undefined);
    for (const waiter of waiters) waiting.remove(waiter);
    expect(waiting.find('fair')).toBe(undefined);
  });
});
