/**
 * Lanes: the ends of attempts go through a few of them by hash of the run, each with one transaction under way at
 * a time. Under load a batch grows by itself while the one before commits (group commit), and in this server a run
 * has one writer, so that the many completions of one dense run never wait for each other's locks.
 */
import type { EndReport } from './draft.ts';
import { type RecordDeps, type Recorded, recordEnds } from './record.ts';

const LANES = 2;
/** Ends in one transaction; keeps a lock's duration and a statement's size bounded. */
const MAX_BATCH = 2_000;
/** Ends that wait in a lane; beyond it the sender is told to wait, so that memory is bounded. */
const MAX_WAITING = 200_000;

export interface Lanes {
  /** Resolves once all of these are durable; each report's `outcome` is set then. */
  submit(reports: readonly EndReport[]): Promise<void>;
  /** Whether so much waits that no more should be sent. */
  full(): boolean;
  /** Resolves once nothing is under way. */
  drain(): Promise<void>;
}

interface Waiting {
  readonly reports: readonly EndReport[];
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/** @param onRecorded is told after each commit */
export function createLanes(deps: RecordDeps, onRecorded: (recorded: Recorded) => void): Lanes {
  const waiting = Array.from({ length: LANES }, (): Waiting[] => []);
  const running = new Map<number, Promise<void>>();
  let count = 0;

  async function work(lane: number): Promise<void> {
    const queue = waiting[lane] ?? [];
    while (queue.length > 0) {
      const batch: Waiting[] = [];
      let size = 0;
      while (queue[0] && (size === 0 || size + queue[0].reports.length <= MAX_BATCH)) {
        const next = queue.shift();
        if (!next) break;
        batch.push(next);
        size += next.reports.length;
      }
      count -= size;
      await record(batch);
    }
    running.delete(lane);
  }

  /** A batch that fails is tried once more sender by sender, so that a fault of one hurts no other. */
  async function record(batch: readonly Waiting[]): Promise<void> {
    try {
      const reports = batch.flatMap((waiting) => waiting.reports);
      for (const recorded of await recordEnds(deps, reports)) onRecorded(recorded);
      for (const { done } of batch) done();
    } catch (error) {
      const [only] = batch;
      if (batch.length === 1) only?.failed(error);
      else for (const one of batch) await record([one]);
    }
  }

  function enqueue(lane: number, reports: readonly EndReport[]): Promise<void> {
    return new Promise((done, failed) => {
      waiting[lane]?.push({ reports, done, failed });
      count += reports.length;
      if (!running.has(lane)) running.set(lane, work(lane));
    });
  }

  return {
    async submit(reports) {
      const byLane = new Map<number, EndReport[]>();
      for (const report of reports) {
        const lane = laneOf(report.runId);
        const own = byLane.get(lane);
        if (own) own.push(report);
        else byLane.set(lane, [report]);
      }
      await Promise.all([...byLane].map(([lane, own]) => enqueue(lane, own)));
    },
    full: () => count > MAX_WAITING,
    async drain() {
      while (running.size > 0) await Promise.allSettled(running.values());
    },
  };
}

function laneOf(runId: string): number {
  return Number.parseInt(runId.slice(-6), 16) % LANES;
}
