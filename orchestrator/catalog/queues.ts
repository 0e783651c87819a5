/** Queues: what waits in them, and whether, how many and how fast they give work out. */
import { SignalboxError } from '../../domain/errors.ts';
import { formatDuration, parseDuration } from '../../domain/time.ts';
import type { QueueService, QueueSetting, QueueSummary } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { type QueueChange, type QueueRow, readQueues, upsertQueue } from '../store/queue.ts';

const MAX_NAME_LENGTH = 200;
const MAX_COUNT = 1_000_000;
const MAX_PRIORITY = 1_000;
const LEAST_PER_MS = 100;
const MOST_PER_MS = 86_400_000;

export function createQueues(db: Db): QueueService {
  return {
    list: async () => (await readQueues(db)).map(toSummary),
    async set(name, value) {
      if (name.length === 0 || name.length > MAX_NAME_LENGTH) {
        throw new SignalboxError(
          'invalid-request',
          `a name has 1 to ${MAX_NAME_LENGTH} characters`,
        );
      }
      await upsertQueue(db, name, toChange(value));
      const queue = (await readQueues(db)).find((candidate) => candidate.name === name);
      if (!queue) throw new SignalboxError('not-found', `queue ${name}`);
      return toSummary(queue);
    },
  };
}

function toSummary({ rateCount, ratePerMs, oldest, ...row }: QueueRow): QueueSummary {
  return {
    ...row,
    rateLimit:
      rateCount === null || ratePerMs === null
        ? null
        : { count: rateCount, per: formatDuration(ratePerMs) },
    waitingSince: oldest?.toISOString() ?? null,
  };
}

function toChange({ rateLimit, ...value }: QueueSetting): QueueChange {
  const { concurrency, priority } = value;
  if (typeof concurrency === 'number') assertWhole('concurrency', concurrency, 0, MAX_COUNT);
  if (priority !== undefined) assertWhole('priority', priority, -MAX_PRIORITY, MAX_PRIORITY);
  if (rateLimit === undefined || rateLimit === null) {
    return rateLimit === null ? { ...value, rateLimit } : value;
  }
  assertWhole('rateLimit/count', rateLimit.count, 1, MAX_COUNT);
  return { ...value, rateLimit: { count: rateLimit.count, perMs: spanOf(rateLimit.per) } };
}

function spanOf(per: string): number {
  let perMs = Number.NaN;
  try {
    perMs = parseDuration(per);
  } catch {
    // Told below.
  }
  if (perMs >= LEAST_PER_MS && perMs <= MOST_PER_MS) return Math.round(perMs);
  const message = 'must be a duration from 100ms to 1d, such as "1m"';
  throw new SignalboxError('invalid-request', `rateLimit.per ${message}`, [
    { path: '/rateLimit/per', message },
  ]);
}

function assertWhole(path: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  const message = `must be a whole number from ${least} to ${most}`;
  throw new SignalboxError('invalid-request', `${path} ${message}`, [
    { path: `/${path}`, message },
  ]);
}
