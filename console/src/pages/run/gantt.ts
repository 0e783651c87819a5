/**
 * Tasks of a run on time: when each waited, when it worked, and which came before. The scale runs from the
 * run's creation to its end, or to now.
 */
import type { Run, Task } from '../../../../domain/run.ts';

export interface Bar {
  readonly key: string;
  readonly index: number;
  /** Shares of the whole, 0 to 1; null where it has not happened. */
  readonly queued: number | null;
  readonly start: number | null;
  readonly end: number | null;
  readonly waitMs: number | null;
  readonly workMs: number | null;
}

export interface Gantt {
  readonly fromMs: number;
  readonly toMs: number;
  readonly bars: readonly Bar[];
}

const LEAST_MS = 10;

/** Tasks in the order of their work; those that wait come last, in the order of their dependencies. */
export function orderTasks(tasks: readonly Task[]): Task[] {
  const begin = (task: Task) => task.startedAt ?? task.queuedAt;
  return tasks.toSorted((a, b) => {
    const [first, second] = [begin(a), begin(b)];
    if (first === null || second === null) return Number(first === null) - Number(second === null);
    return Date.parse(first) - Date.parse(second);
  });
}

export function layoutGantt(
  run: Pick<Run, 'createdAt' | 'finishedAt'>,
  tasks: readonly Task[],
  nowMs: number,
): Gantt {
  const ms = (at: string | null) => (at === null ? null : Date.parse(at));
  const begins = tasks
    .flatMap((task) => [ms(task.queuedAt), ms(task.startedAt)])
    .filter((at) => at !== null);
  const ends = tasks.map((task) => ms(task.finishedAt)).filter((at) => at !== null);
  const fromMs = Math.min(Date.parse(run.createdAt), ...begins);
  const toMs = Math.max(ms(run.finishedAt) ?? nowMs, fromMs + LEAST_MS, ...ends);
  const share = (at: number) => Math.max(0, Math.min(1, (at - fromMs) / (toMs - fromMs)));
  const bars = tasks.map((task, index) => {
    const [queued, start] = [ms(task.queuedAt), ms(task.startedAt)];
    const end = start === null ? null : (ms(task.finishedAt) ?? toMs);
    return {
      key: task.key,
      index,
      queued: queued === null ? null : share(queued),
      start: start === null ? null : share(start),
      end: end === null ? null : share(end),
      waitMs: queued === null ? null : Math.max(0, (start ?? toMs) - queued),
      workMs: start === null || end === null ? null : end - start,
    };
  });
  return { fromMs, toMs, bars };
}

const STEPS_MS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000,
  600_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 86_400_000,
];

/** Marks of the scale at round distances from the start, at most `most` of them. */
export function gridMarks(lengthMs: number, most: number): number[] {
  const step = STEPS_MS.find((size) => lengthMs / size <= most) ?? lengthMs / most;
  return Array.from({ length: Math.floor(lengthMs / step) + 1 }, (_, index) => index * step);
}
