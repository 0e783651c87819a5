/** Queues: what waits in them, and whether they give work out. */
import { SignalboxError } from '../../domain/errors.ts';
import type { QueueService } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { readQueues, upsertQueue } from '../store/queue.ts';

const MAX_NAME_LENGTH = 200;

export function createQueues(db: Db): QueueService {
  return {
    list: () => readQueues(db),
    async set(name, value) {
      const { concurrency } = value;
      if (name.length === 0 || name.length > MAX_NAME_LENGTH) {
        throw new SignalboxError(
          'invalid-request',
          `a name has 1 to ${MAX_NAME_LENGTH} characters`,
        );
      }
      if (typeof concurrency === 'number' && (!Number.isInteger(concurrency) || concurrency < 0)) {
        throw new SignalboxError('invalid-request', 'concurrency is a whole number, or null', [
          { path: '/concurrency', message: 'must be a whole number of at least 0, or null' },
        ]);
      }
      await upsertQueue(db, name, value);
      const queue = (await readQueues(db)).find((candidate) => candidate.name === name);
      if (!queue) throw new SignalboxError('not-found', `queue ${name}`);
      return queue;
    },
  };
}
