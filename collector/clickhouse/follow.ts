/**
 * Copies run and asset events from Postgres to ClickHouse, from a watermark on. Only when a batch is in
 * ClickHouse the watermark moves; while ClickHouse is away the follower waits, and nothing is lost.
 *
 * Nothing is doubled either: within a process the very same batch is sent again under the same token. A process
 * that died between the insert and the saving of the watermark may read a longer batch the next time, which no
 * token can recognize; therefore what comes first after a start is compared with what is there by event id.
 * An event that is refused for its content is set aside, so that it does not hold up all that follow.
 * Whoever loses its turn lets go of a batch that was not taken. What was taken moves the watermark all the same, if
 * nobody has moved it meanwhile: a turn that lapses while a slow ClickHouse takes a batch would else leave the same
 * batch to be copied for ever.
 */
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { EventBatch, EventSource } from '../../domain/events.ts';
import type { Clock } from '../../domain/time.ts';
import { type Batch, messageOf, RefusedDataError } from './connection.ts';
import { sendSettingAside } from './refused.ts';
import { type AskClickHouse, withoutStored } from './stored-events.ts';
import { assetEventRow, runEventRow, TABLES } from './tables.ts';

export interface FollowerOptions {
  readonly source: EventSource;
  readonly clock: Clock;
  send(batch: Batch): Promise<void>;
  readonly query: AskClickHouse;
  log(message: string): void;
  /** Keeps a row that ClickHouse refuses for its content. */
  setAside(table: string, line: string, error: Error): Promise<void>;
  /** Whether it is this one's turn, where several servers follow one source; always unless told. */
  isTurn?(): boolean;
  /** How often to look without being nudged. */
  readonly everyMs?: number;
  readonly batchSize?: number;
}

const EVERY_MS = 500;
const GATHER_MS = 150;
const BATCH_SIZE = 20_000;
const RETRY_FIRST_MS = 100;
const RETRY_LARGEST_MS = 2_000;
const STOP_LIMIT_MS = 3_000;

/** The follower; run one at a time for a source. */
export class Follower {
  private readonly options: FollowerOptions;
  private readonly batchSize: number;
  private stopping = new AbortController();
  private wake = () => {};
  private loop: Promise<void> | undefined;
  private nudged = false;
  private waiting = false;
  /** How many of the next events are compared with what is stored. */
  private compareLeft: number;
  private lastLagMs: number | null = null;
  private behindSince: number | null = null;

  constructor(options: FollowerOptions) {
    this.options = options;
    this.batchSize = options.batchSize ?? BATCH_SIZE;
    this.compareLeft = this.batchSize;
  }

  start(): void {
    if (this.loop) return;
    this.stopping = new AbortController();
    this.loop = this.run();
  }

  /** Something was appended: look at once. */
  nudge(): void {
    this.nudged = true;
    this.wake();
  }

  /** Milliseconds between the oldest event not yet queryable (or of the last batch) and now; null before the first look. */
  lagMs(): number | null {
    if (this.behindSince === null) return this.lastLagMs;
    return Math.max(0, this.options.clock.now() - this.behindSince);
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.wake();
    // A ClickHouse that hangs must not hold up the end; what is under way is recognized at the next start.
    await Promise.race([this.loop, delay(STOP_LIMIT_MS, undefined, { ref: false })]);
    this.loop = undefined;
  }

  private async run(): Promise<void> {
    const everyMs = this.options.everyMs ?? EVERY_MS;
    while (!this.stopping.signal.aborted) {
      try {
        this.nudged = false;
        if (!this.hasTurn()) {
          await this.pause(everyMs);
          continue;
        }
        const more = await this.step();
        if (this.waiting) this.options.log('run events are copied again');
        this.waiting = false;
        if (!more) await this.rest(everyMs);
      } catch (error) {
        if (this.stopping.signal.aborted) return;
        this.compareLeft = this.batchSize;
        if (!this.hasTurn()) continue;
        this.tellWaiting(error);
        await this.sleep(RETRY_LARGEST_MS);
      }
    }
  }

  private hasTurn(): boolean {
    return this.options.isTurn?.() !== false;
  }

  /** Until the next look: an insert of few rows costs as much as one of many, hence nudges are gathered. */
  private async rest(everyMs: number): Promise<void> {
    await delay(Math.min(GATHER_MS, everyMs), undefined, { signal: this.stopping.signal });
    if (!this.nudged) await this.sleep(Math.max(0, everyMs - GATHER_MS));
  }

  /** Another one follows. When the turn comes, what that one did last is not known: compare anew. */
  private async pause(ms: number): Promise<void> {
    this.compareLeft = this.batchSize;
    this.lastLagMs = this.behindSince = null;
    await this.sleep(ms);
  }

  /** Copies one batch. @returns whether more is there at once */
  private async step(): Promise<boolean> {
    const { source, clock, query } = this.options;
    const from = await source.loadWatermark();
    const comparing = this.compareLeft > 0;
    const read = await source.readAfter(from, this.batchSize);
    const oldest = oldestAt(read);
    if (oldest !== null) {
      this.behindSince ??= oldest;
      const fresh = comparing ? await withoutStored(read, query) : read;
      if (comparing) {
        const foundSome = sizeOf(fresh) < sizeOf(read);
        this.compareLeft = foundSome ? this.batchSize : this.compareLeft - sizeOf(read);
      }
      await this.deliver(fresh, `${from}→${read.watermark}`);
      this.lastLagMs = Math.max(0, clock.now() - oldest);
    } else {
      this.lastLagMs = 0;
    }
    // Whoever took the turn over may have copied further without having saved it.
    if (!this.hasTurn()) this.compareLeft = this.batchSize;
    if (read.watermark !== from && !(await source.saveWatermark(read.watermark, from))) {
      // Another one has followed meanwhile.
      this.compareLeft = this.batchSize;
      return false;
    }
    if (read.caughtUp) this.behindSince = null;
    return !read.caughtUp;
  }

  private async deliver(batch: EventBatch, name: string): Promise<void> {
    const parts = [
      { table: TABLES.runEvents, rows: batch.runEvents.map(runEventRow) },
      { table: TABLES.assetEvents, rows: batch.assetEvents.map(assetEventRow) },
    ];
    for (const { table, rows } of parts) {
      if (rows.length === 0) continue;
      const send = (body: Buffer) => {
        const token = createHash('sha256').update(name).update(body).digest('hex');
        return this.sendUntilTaken({ table, format: 'JSONEachRow', body, token });
      };
      const lines = rows.map((row) => `${JSON.stringify(row)}\n`);
      await sendSettingAside(lines, send, (line, error) =>
        this.options.setAside(table, line, error),
      );
    }
  }

  private async sendUntilTaken(part: Batch): Promise<void> {
    for (let waitMs = RETRY_FIRST_MS; ; waitMs = Math.min(waitMs * 2, RETRY_LARGEST_MS)) {
      try {
        return await this.options.send(part);
      } catch (error) {
        if (error instanceof RefusedDataError && !error.isOfTable) throw error;
        this.tellWaiting(error);
        await delay(waitMs, undefined, { signal: this.stopping.signal });
        if (!this.hasTurn()) throw error;
      }
    }
  }

  /** Says once that it cannot go on, however often it tries. */
  private tellWaiting(error: unknown): void {
    if (!this.waiting) this.options.log(`run events wait to be copied: ${messageOf(error)}`);
    this.waiting = true;
  }

  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function sizeOf(batch: EventBatch): number {
  return batch.runEvents.length + batch.assetEvents.length;
}

function oldestAt(batch: EventBatch): number | null {
  let oldest: number | null = null;
  for (const { at } of batch.runEvents) oldest = Math.min(oldest ?? at, at);
  // An asset's event time may be days ago; what counts here is when it was recorded.
  for (const { recordedAt } of batch.assetEvents)
    oldest = Math.min(oldest ?? recordedAt, recordedAt);
  return oldest;
}
