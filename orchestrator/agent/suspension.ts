/**
 * When a flow that waits is given back. A wait of seconds stays in the agent's memory and only lends its slot. Where
 * all that a flow does is to wait, and for long, the agent gives it back: the server keeps it until its time or its
 * answer comes, whatever happens to agents meanwhile, and a replay of the recorded steps brings it to where it was.
 *
 * Code of the flow that is given back never goes on: its waits never end, so that neither `catch` nor `finally` runs.
 * A timeout counts the time of one attempt, also that which it spends given back: its moment is recorded as a step
 * then, and who goes on with the attempt keeps to it. When it comes first, it is what wakes the flow.
 */

import { attemptEndKey } from '../../domain/task-graph.ts';
import type { Clock, EpochMs } from '../../domain/time.ts';
import type { SuspendReply, SuspendRequest } from '../../domain/wait.ts';
import { Aborted } from './failure.ts';
import { LONGEST_TIMER_MS } from './persist.ts';
import type { RunningTask } from './running-task.ts';
import type { StepStore } from './steps.ts';

export interface SuspensionCalls extends Pick<StepStore, 'recorded'> {
  readonly clock: Clock;
  /** Lends the task's slot while it waits for something else than its own work. */
  parked<T>(task: RunningTask, wait: () => Promise<T>): Promise<T>;
  suspend(task: RunningTask, request: SuspendRequest): Promise<SuspendReply>;
  /** How long a wait must be; a minute unless told. */
  readonly suspendAfterMs?: number;
}

/** Something that a flow waits for. */
export interface LongWait {
  /** When it is over at the latest, by the agent's clock; null where only an answer ends it. */
  until: EpochMs | null;
  /** Whether the server knows of it, and wakes the flow when it is answered. */
  wakes: boolean;
  /** The run that it waits for. */
  readonly runId?: string;
}

const SUSPEND_AFTER_MS = 60_000;
/** Who waits for a run looks at it now and then, should nobody have heard of its end. */
const LOOK_AT_RUNS_MS = 3_600_000;
/** Lets code that an ended wait sets going come to its next step. */
const SETTLE_MS = 20;
const REFUSED_PAUSE_MS = 30_000;

export class Suspension {
  readonly #task: RunningTask;
  readonly #calls: SuspensionCalls;
  readonly #waits = new Map<LongWait, EpochMs>();
  #working = 0;
  #timer: NodeJS.Timeout | undefined;
  #leaving: Promise<boolean> | undefined;

  constructor(task: RunningTask, calls: SuspensionCalls) {
    this.#task = task;
    this.#calls = calls;
  }

  /** Does work that needs this process: while there is any, the flow stays. */
  readonly work = async <T>(work: () => Promise<T>): Promise<T> => {
    await this.#unlessLeft();
    this.#working += 1;
    try {
      return await work();
    } finally {
      this.#working -= 1;
      this.#considerIn(SETTLE_MS);
    }
  };

  /**
   * Waits, without work of its own, by as many calls of `again` as it takes.
   * @param inWork whether it is part of a piece of work, which then counts as none
   */
  async during<T>(
    wait: LongWait,
    inWork: boolean,
    waiting: (again: <R>(one: () => Promise<R>) => Promise<R>) => Promise<T>,
  ): Promise<T> {
    this.#waits.set(wait, this.#calls.clock.now());
    try {
      return await waiting((one) => this.#wait(inWork, one));
    } finally {
      this.#waits.delete(wait);
      this.#considerIn(SETTLE_MS);
    }
  }

  async #wait<T>(inWork: boolean, one: () => Promise<T>): Promise<T> {
    if (inWork) this.#working -= 1;
    this.#considerIn(SETTLE_MS);
    try {
      return await this.#calls.parked(this.#task, one);
    } finally {
      await this.#unlessLeft();
      if (inWork) this.#working += 1;
    }
  }

  /** Never goes on where the flow was given back. */
  async #unlessLeft(): Promise<void> {
    while (this.#leaving) if (await this.#leaving) await new Promise<never>(() => undefined);
  }

  #considerIn(ms: number): void {
    if (this.#waits.size === 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#consider(), Math.min(LONGEST_TIMER_MS, ms));
    this.#timer.unref();
  }

  #consider(): void {
    if (this.#leaving || this.#task.over || this.#task.signal.aborted) return;
    if (this.#working > 0 || this.#waits.size === 0) return;
    const now = this.#calls.clock.now();
    const { endsAt } = this.#task;
    if (endsAt !== null && endsAt - now <= this.#afterMs) return;
    let laterMs = 0;
    for (const [wait, since] of this.#waits) {
      const left = this.#stayMs(wait, since, now);
      if (left === null) return;
      laterMs = Math.max(laterMs, left);
    }
    if (laterMs > 0) this.#considerIn(laterMs);
    else this.#leaving = this.#leave(now);
  }

  /** How long the flow stays for this wait: 0 where it may leave now, null where it stays until it is over. */
  #stayMs(wait: LongWait, since: EpochMs, now: EpochMs): number | null {
    const afterMs = this.#afterMs;
    if (wait.until !== null && wait.until - now <= afterMs) return null;
    // What somebody answers may be answered soon; a sleep is known to be long.
    return wait.wakes ? Math.max(0, since + afterMs - now) : 0;
  }

  get #afterMs(): number {
    const given = this.#calls.suspendAfterMs;
    return typeof given === 'number' ? given : SUSPEND_AFTER_MS;
  }

  /** @returns whether the flow was given back */
  async #leave(now: EpochMs): Promise<boolean> {
    const { runId, taskKey, token, attempt } = this.#task.assignment;
    const { endsAt } = this.#task;
    const waits = [...this.#waits.keys()];
    const runs = waits.flatMap((wait) => wait.runId ?? []);
    const ends = [
      ...waits.flatMap(({ until }) => until ?? []),
      ...(endsAt === null ? [] : [endsAt]),
      ...(runs.length === 0 ? [] : [now + LOOK_AT_RUNS_MS]),
    ];
    try {
      const { outcome } = await this.#calls.suspend(this.#task, {
        ...{ runId, taskKey, token },
        wakeInMs: ends.length === 0 ? null : Math.max(0, Math.min(...ends) - now),
        wakes: waits.some(({ wakes }) => wakes),
        ...(runs.length === 0 ? {} : { runs }),
        ...(endsAt === null ? {} : { over: { attempt, at: endsAt } }),
      });
      if (outcome === 'suspended') {
        this.#task.leave();
        return true;
      }
      if (outcome === 'lease-lost') {
        this.#task.abort(new Aborted('lost', 'another agent holds the task now'));
      } else this.#considerIn(REFUSED_PAUSE_MS);
    } catch {
      this.#considerIn(REFUSED_PAUSE_MS);
    }
    this.#leaving = undefined;
    return false;
  }
}

/** Where the attempt was given back before: its time is over when it would have been. */
export async function keepToEnd(task: RunningTask, calls: SuspensionCalls): Promise<void> {
  const { runId, taskKey, attempt, timeoutMs } = task.assignment;
  if (timeoutMs === null) return;
  const key = attemptEndKey(taskKey, attempt);
  const known = (await calls.recorded(runId)).find((step) => step.key === key);
  if (typeof known?.result === 'number') task.endBy(known.result);
}
