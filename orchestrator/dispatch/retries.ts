/**
 * Tasks that wait for their retry become ready on time: a timer for the soonest that this server knows of, and a
 * reconciler for those of servers that are gone.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Reconciler } from '../service.ts';
import type { Db } from '../store/connection.ts';

export interface Retries {
  readonly reconciler: Reconciler;
  /** A task is due in so many milliseconds. */
  expect(inMs: number): void;
  close(): Promise<void>;
}

const MAX_AT_ONCE = 5_000;
const EVERY_MS = 1_000;
/** Timers beyond it would overflow; the reconciler comes much earlier. */
const MAX_TIMER_MS = 60_000;

/** Locked rows stay in their place, so that they are found there again. Never waits for a lock: a row that a cancellation holds is no longer to be made ready. */
const PROMOTE = `
  WITH due AS MATERIALIZED (
    SELECT ctid AS place FROM signalbox.task_live
    WHERE state = 3 AND ready_at <= clock_timestamp() ORDER BY ready_at LIMIT $1 FOR UPDATE SKIP LOCKED)
  UPDATE signalbox.task_live t SET state = 1 WHERE t.ctid = ANY(ARRAY(SELECT place FROM due))
  RETURNING t.queue`;

const NEXT = `
  SELECT (extract(epoch FROM ready_at - clock_timestamp()) * 1000)::float8
  FROM signalbox.task_live WHERE state = 3 ORDER BY ready_at LIMIT 1`;

export function createRetries(deps: {
  readonly db: Db;
  ready(queues: ReadonlySet<string>): void;
  log(message: string): void;
}): Retries {
  let timer: NodeJS.Timeout | undefined;
  let dueAt = Number.POSITIVE_INFINITY;
  let closed = false;
  let running: Promise<void> = Promise.resolve();

  async function promote(): Promise<void> {
    dueAt = Number.POSITIVE_INFINITY;
    while (!closed) {
      const rows = await deps.db.rows<readonly [string]>(PROMOTE, [MAX_AT_ONCE]);
      deps.ready(new Set(rows.map(([queue]) => queue)));
      if (rows.length < MAX_AT_ONCE) break;
    }
    const [next] = await deps.db.rows<readonly [number]>(NEXT);
    if (next) expect(next[0]);
  }

  function run(): Promise<void> {
    running = running.then(promote);
    const done = running;
    running = running.catch(() => undefined);
    return done;
  }

  function expect(inMs: number): void {
    const at = performance.now() + Math.max(1, Math.min(MAX_TIMER_MS, inMs));
    if (closed || at >= dueAt) return;
    dueAt = at;
    clearTimeout(timer);
    timer = setTimeout(() => {
      run().catch(async (error: Error) => {
        deps.log(`retries were not made ready: ${error.message}`);
        await delay(EVERY_MS);
        expect(0);
      });
    }, at - performance.now());
    timer.unref();
  }

  return {
    reconciler: { name: 'retries', everyMs: EVERY_MS, run },
    expect,
    async close() {
      closed = true;
      clearTimeout(timer);
      await running;
    },
  };
}
