/**
 * A lane takes rows for one table and sends them in batches: while one batch is under way the next one grows
 * (group commit), so that the number of inserts does not follow the number of callers. Who puts rows in waits
 * until they are durable. Memory is bounded by a budget that all lanes share.
 *
 * What happens when ClickHouse does not take a batch is the lane's `onFailure`: requests from outside are told
 * to come again, the product's own samples go to the spool.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { SignalboxError } from '../../domain/errors.ts';
import { type Batch, RefusedDataError } from './connection.ts';

/** Rows of one caller. */
export interface Rows {
  /** In the lane's format, so that one after the other makes a batch: lines, or Native blocks. */
  readonly body: Buffer;
  readonly count: number;
}

export interface LaneLimits {
  /** Least time from one batch to the next, in which rows gather; the first rows after a pause go at once. */
  readonly lingerMs: number;
  readonly maxRows: number;
  readonly maxBytes: number;
  /** Batches of one table that may be under way at once. */
  readonly maxInFlight: number;
  /** How long a batch is tried before it counts as failed. */
  readonly retryForMs: number;
}

export const LANE_LIMITS: LaneLimits = {
  lingerMs: 100,
  maxRows: 50_000,
  maxBytes: 16 * 1024 * 1024,
  maxInFlight: 2,
  retryForMs: 8_000,
};

/** Bytes that all lanes together may hold. */
export interface MemoryBudget {
  used: number;
  readonly limit: number;
}

export interface LaneOptions {
  readonly table: string;
  readonly format: Batch['format'];
  readonly limits: LaneLimits;
  readonly memory: MemoryBudget;
  send(batch: Batch): Promise<void>;
  /** Takes over a batch that was not inserted; where it resolves, the rows count as durable. */
  onFailure(batch: Batch, error: unknown): Promise<void>;
}

interface Entry extends Rows {
  resolve(): void;
  reject(error: unknown): void;
}

const RETRY_FIRST_MS = 50;
const RETRY_LARGEST_MS = 1_000;

/** The lane of one table; it does nothing before the first `add`. */
export class Lane {
  private readonly options: LaneOptions;
  private open: Entry[] = [];
  private openRows = 0;
  private openBytes = 0;
  private inFlight = 0;
  private failing = false;
  private closing = false;
  private lastBatchAt = Number.NEGATIVE_INFINITY;
  private timer: NodeJS.Timeout | undefined;
  private readonly idle: (() => void)[] = [];

  constructor(options: LaneOptions) {
    this.options = options;
  }

  /**
   * Resolves once the rows are durable.
   * @throws SignalboxError `unavailable`, `too-many-requests`; RefusedDataError
   */
  add(rows: Rows): Promise<void> {
    const { limits, memory } = this.options;
    if (rows.count === 0) return Promise.resolve();
    if (this.failing && this.inFlight > 0 && limits.retryForMs > 0) {
      return Promise.reject(new SignalboxError('unavailable', 'ClickHouse does not take rows now'));
    }
    if (memory.used + rows.body.length > memory.limit) {
      return Promise.reject(
        new SignalboxError('too-many-requests', 'the buffers in front of ClickHouse are full'),
      );
    }
    memory.used += rows.body.length;
    return new Promise((resolve, reject) => {
      this.open.push({ ...rows, resolve, reject });
      this.openRows += rows.count;
      this.openBytes += rows.body.length;
      this.schedule();
    });
  }

  /** The end: sends what is there at once, tries nothing again, and waits until nothing is under way. */
  async drain(): Promise<void> {
    this.closing = true;
    this.flush();
    if (this.inFlight > 0 || this.open.length > 0) {
      await new Promise<void>((resolve) => this.idle.push(resolve));
    }
  }

  private schedule(): void {
    const { lingerMs, maxRows, maxBytes } = this.options.limits;
    if (this.closing || this.openRows >= maxRows || this.openBytes >= maxBytes) this.flush();
    else {
      const waitMs = Math.max(0, this.lastBatchAt + lingerMs - performance.now());
      this.timer ??= setTimeout(() => this.flush(), waitMs);
    }
  }

  private flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.open.length === 0 || this.inFlight >= this.options.limits.maxInFlight) return;
    const entries = this.open;
    this.open = [];
    this.openRows = 0;
    this.openBytes = 0;
    this.inFlight += 1;
    this.lastBatchAt = performance.now();
    void this.commit(entries).finally(() => {
      for (const entry of entries) this.options.memory.used -= entry.body.length;
      this.inFlight -= 1;
      if (this.open.length > 0) this.schedule();
      else if (this.inFlight === 0) for (const wake of this.idle.splice(0)) wake();
    });
  }

  private async commit(entries: readonly Entry[]): Promise<void> {
    const { table, format } = this.options;
    const body = Buffer.concat(entries.map((entry) => entry.body));
    try {
      await this.deliver({ table, format, body, token: randomUUID() });
      for (const entry of entries) entry.resolve();
    } catch (error) {
      // One caller's bad rows must not take the others' with them.
      if (error instanceof RefusedDataError && entries.length > 1) {
        for (const entry of entries) await this.commit([entry]);
        return;
      }
      for (const entry of entries) entry.reject(error);
    }
  }

  private async deliver(batch: Batch): Promise<void> {
    const deadline = performance.now() + this.options.limits.retryForMs;
    for (let waitMs = RETRY_FIRST_MS; ; waitMs = Math.min(waitMs * 2, RETRY_LARGEST_MS)) {
      try {
        await this.options.send(batch);
        this.failing = false;
        return;
      } catch (error) {
        if (error instanceof RefusedDataError) throw error;
        this.failing = true;
        if (this.closing || performance.now() + waitMs >= deadline) {
          return await this.options.onFailure(batch, error);
        }
        await delay(waitMs);
      }
    }
  }
}
