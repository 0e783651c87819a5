import { describe, expect, it } from 'vitest';
import { EVERYTHING } from '../../../orchestrator/dispatch/definitions.ts';
import { openWaiter } from '../../../orchestrator/dispatch/waiter.ts';
import { createWaitingClaims } from '../../../orchestrator/dispatch/waiting-claims.ts';
import { versionOf } from './graphs.ts';

/** Only asked whether somebody has it. */
const VERSION = await versionOf([{ key: 'a' }]);

describe('claims that wait', () => {
  it('are filled in turn by whoever makes tasks ready in this server', () => {
    const waiting = createWaitingClaims();
    const { signal } = new AbortController();
    const waiters = ['1', '2', '3', '4'].map((id) => {
      const queues = ['fair'];
      const waiter = openWaiter({
        session: {
          ...{ id, publicId: id, name: id, queues, concurrency: 10, labels: [] },
          ...{ queueSet: new Set(queues), definitionSet: null, definitions: EVERYTHING },
        },
        ...{ capacity: 100, waitMs: 0, signal },
        answered: () => {},
        gone: waiting.remove,
        undelivered: () => {},
      });
      waiting.add(waiter);
      return waiter;
    });
    const find = (queue: string) => waiting.find(queue, VERSION, 0);
    for (let count = 0; count < 40; count += 1) {
      const offer = find('fair');
      if (offer) offer.left -= 1;
    }
    expect(waiters.map(({ left }) => 100 - left)).toEqual([10, 10, 10, 10]);
    expect(find('other')).toBe(undefined);
    for (const waiter of waiters) waiting.remove(waiter);
    expect(find('fair')).toBe(undefined);
  });
});
