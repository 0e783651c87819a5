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
  /** JSONEachRow lines, each ended by a newline. */
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
  maxBytes: 8 * 1024 * 1024,
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

export type Lane = ReturnType<typeof createLane>;

const RETRY_FIRST_MS = 50;
const RETRY_LARGEST_MS = 1_000;

/** Makes a lane; it does nothing before the first `add`. */
export function createLane(options: LaneOptions) {
  const { limits, memory } = options;
  let open: Entry[] = [];
  let openRows = 0;
  let openBytes = 0;
  let inFlight = 0;
  let failing = false;
  let closing = false;
  let lastBatchAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  const idle: (() => void)[] = [];

  function add(rows: Rows): Promise<void> {
    if (rows.count === 0) return Promise.resolve();
    if (failing && inFlight > 0 && limits.retryForMs > 0) {
      return Promise.reject(new SignalboxError('unavailable', 'ClickHouse does not take rows now'));
    }
    if (memory.used + rows.body.length > memory.limit) {
      return Promise.reject(
        new SignalboxError('too-many-requests', 'the buffers in front of ClickHouse are full'),
      );
    }
    memory.used += rows.body.length;
    return new Promise((resolve, reject) => {
      open.push({ ...rows, resolve, reject });
      openRows += rows.count;
      openBytes += rows.body.length;
      schedule();
    });
  }

  function schedule(): void {
    const full = openRows >= limits.maxRows || openBytes >= limits.maxBytes;
    if (full || closing) flush();
    else
      timer ??= setTimeout(flush, Math.max(0, lastBatchAt + limits.lingerMs - performance.now()));
  }

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    if (open.length === 0 || inFlight >= limits.maxInFlight) return;
    const entries = open;
    open = [];
    openRows = 0;
    openBytes = 0;
    inFlight += 1;
    lastBatchAt = performance.now();
    void commit(entries).finally(() => {
      for (const entry of entries) memory.used -= entry.body.length;
      inFlight -= 1;
      if (open.length > 0) schedule();
      else if (inFlight === 0) for (const wake of idle.splice(0)) wake();
    });
  }

  async function commit(entries: readonly Entry[]): Promise<void> {
    const body = Buffer.concat(entries.map((entry) => entry.body));
    try {
      await deliver({ table: options.table, body, token: randomUUID() });
      for (const entry of entries) entry.resolve();
    } catch (error) {
      // One caller's bad rows must not take the others' with them.
      if (error instanceof RefusedDataError && entries.length > 1) {
        for (const entry of entries) await commit([entry]);
        return;
      }
      for (const entry of entries) entry.reject(error);
    }
  }

  async function deliver(batch: Batch): Promise<void> {
    const deadline = performance.now() + limits.retryForMs;
    for (let waitMs = RETRY_FIRST_MS; ; waitMs = Math.min(waitMs * 2, RETRY_LARGEST_MS)) {
      try {
        await options.send(batch);
        failing = false;
        return;
      } catch (error) {
        if (error instanceof RefusedDataError) throw error;
        failing = true;
        if (closing || performance.now() + waitMs >= deadline) {
          return await options.onFailure(batch, error);
        }
        await delay(waitMs);
      }
    }
  }

  return {
    add,
    /** The end: sends what is there at once, tries nothing again, and waits until nothing is under way. */
    async drain(): Promise<void> {
      closing = true;
      flush();
      if (inFlight > 0 || open.length > 0) {
        await new Promise<void>((resolve) => idle.push(resolve));
      }
    },
  };
}
