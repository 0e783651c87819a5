/**
 * Copies run and asset events from Postgres to ClickHouse, from a watermark on. Only when a batch is in
 * ClickHouse the watermark moves; while ClickHouse is away the follower waits, and nothing is lost.
 *
 * Nothing is doubled either: within a process the very same batch is sent again under the same token. A process
 * that died between the insert and the saving of the watermark may read a longer batch the next time, which no
 * token can recognize; therefore what comes first after a start is compared with what is there by event id.
 */
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { EventBatch, EventSource } from '../../domain/events.ts';
import type { Clock } from '../../domain/time.ts';
import { type Batch, messageOf } from './connection.ts';
import { type AskClickHouse, withoutStored } from './stored-events.ts';
import { assetEventRow, runEventRow, TABLES } from './tables.ts';
import { toRows } from './writer.ts';

export interface FollowerOptions {
  readonly source: EventSource;
  readonly clock: Clock;
  send(batch: Batch): Promise<void>;
  readonly query: AskClickHouse;
  log(message: string): void;
  /** How often to look without being nudged. */
  readonly everyMs?: number;
  readonly batchSize?: number;
}

const EVERY_MS = 500;
const BATCH_SIZE = 20_000;
/** Batches that are compared are small, since each event's id goes into a query. */
const COMPARED_BATCH_SIZE = 1_000;
const RETRY_FIRST_MS = 100;
const RETRY_LARGEST_MS = 2_000;
const STOP_LIMIT_MS = 3_000;

export type Follower = ReturnType<typeof createFollower>;

/** Makes a follower; run one at a time for a source. */
export function createFollower(options: FollowerOptions) {
  const { source, clock } = options;
  const everyMs = options.everyMs ?? EVERY_MS;
  const batchSize = options.batchSize ?? BATCH_SIZE;
  let stopping = new AbortController();
  let wake = () => {};
  let loop: Promise<void> | undefined;
  let nudged = false;
  let compareLeft = batchSize;
  let lagMs: number | null = null;
  let behindSince: number | null = null;
  let waiting = false;

  /** Says once that it cannot go on, however often it tries. */
  function tellWaiting(error: unknown): void {
    if (!waiting) options.log(`run events wait to be copied: ${messageOf(error)}`);
    waiting = true;
  }

  /** Copies one batch. @returns whether more is there at once */
  async function step(): Promise<boolean> {
    const from = await source.loadWatermark();
    const comparing = compareLeft > 0;
    const limit = comparing ? Math.min(batchSize, COMPARED_BATCH_SIZE) : batchSize;
    const read = await source.readAfter(from, limit);
    const oldest = oldestAt(read);
    if (oldest !== null) {
      behindSince ??= oldest;
      const fresh = comparing ? await withoutStored(read, options.query) : read;
      if (comparing) compareLeft = sizeOf(fresh) < sizeOf(read) ? batchSize : compareLeft - limit;
      await deliver(fresh, `${from}→${read.watermark}`);
      lagMs = Math.max(0, clock.now() - oldest);
    } else {
      lagMs = 0;
    }
    if (read.watermark !== from) await source.saveWatermark(read.watermark);
    if (read.caughtUp) behindSince = null;
    return !read.caughtUp;
  }

  async function deliver(batch: EventBatch, name: string): Promise<void> {
    const parts: Batch[] = [];
    if (batch.runEvents.length > 0) {
      const { body } = toRows(batch.runEvents.map(runEventRow));
      parts.push({ table: TABLES.runEvents, body, token: tokenOf(name, body) });
    }
    if (batch.assetEvents.length > 0) {
      const { body } = toRows(batch.assetEvents.map(assetEventRow));
      parts.push({ table: TABLES.assetEvents, body, token: tokenOf(name, body) });
    }
    for (const part of parts) await sendUntilTaken(part);
  }

  async function sendUntilTaken(part: Batch): Promise<void> {
    for (let waitMs = RETRY_FIRST_MS; ; waitMs = Math.min(waitMs * 2, RETRY_LARGEST_MS)) {
      try {
        return await options.send(part);
      } catch (error) {
        tellWaiting(error);
        await delay(waitMs, undefined, { signal: stopping.signal });
      }
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        nudged = false;
        const more = await step();
        if (waiting) options.log('run events are copied again');
        waiting = false;
        if (more) continue;
        if (!nudged) await sleep(everyMs);
      } catch (error) {
        if (stopping.signal.aborted) return;
        compareLeft = batchSize;
        tellWaiting(error);
        await sleep(RETRY_LARGEST_MS);
      }
    }
  }

  function sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  return {
    start() {
      if (loop) return;
      stopping = new AbortController();
      loop = run();
    },
    /** Something was appended: look at once. */
    nudge() {
      nudged = true;
      wake();
    },
    /** Milliseconds between the oldest event not yet queryable (or of the last batch) and now; null before the first look. */
    lagMs: () => (behindSince === null ? lagMs : Math.max(0, clock.now() - behindSince)),
    async stop() {
      stopping.abort();
      wake();
      // A ClickHouse that hangs must not hold up the end; what is under way is recognized at the next start.
      await Promise.race([loop, delay(STOP_LIMIT_MS, undefined, { ref: false })]);
      loop = undefined;
    },
  };
}

function sizeOf(batch: EventBatch): number {
  return batch.runEvents.length + batch.assetEvents.length;
}

function tokenOf(name: string, body: Buffer): string {
  return createHash('sha256').update(name).update(body).digest('hex');
}

function oldestAt(batch: EventBatch): number | null {
  let oldest: number | null = null;
  for (const { at } of batch.runEvents) oldest = Math.min(oldest ?? at, at);
  // An asset's event time may be days ago; what counts here is when it was recorded.
  for (const { recordedAt } of batch.assetEvents)
    oldest = Math.min(oldest ?? recordedAt, recordedAt);
  return oldest;
}
