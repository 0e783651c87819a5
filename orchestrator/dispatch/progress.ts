/**
 * A run's vector on its way from one state to the next: what ended, what that lets start, what it ends without a run.
 * All of it follows from the ends alone, task by task along the edges; nothing looks at tasks that no end concerns.
 */
import type { RunError } from '../../domain/run.ts';
import { countItems, type Expansion, expandVersion, expansionOf } from '../runs/expansion.ts';
import type { Version } from '../runs/versions.ts';
import { judge, judgeAfter, type Verdict } from './rules.ts';
import {
  CANCELLED,
  FAILED,
  isEnded,
  isFailure,
  isSkip,
  LIVE,
  NOT_CHOSEN,
  PENDING,
  READY,
  SKIPPED,
  SUCCEEDED,
  UPSTREAM_FAILED,
  WAITS_FOR_PAST,
  type WAITS_FOR_RETRY,
} from './task-codes.ts';

/** A task that is to get a live row. */
export interface NextTask {
  readonly task: number;
  readonly state: typeof READY | typeof WAITS_FOR_RETRY | typeof WAITS_FOR_PAST;
  readonly attempt: number;
  readonly retriesLeft: number;
  readonly lost: number;
  readonly delayMs: number;
}

/** Which way a run goes on after a branch. */
export interface PlannedBranch {
  /** Direct dependents that go on. */
  readonly follow: readonly number[];
  /** Whether all that is downstream of the others is skipped too, whatever its rule. */
  readonly skipAll: boolean;
}

export class Progress {
  /** The graph with the instances that there are by now. */
  version: Version;
  vector: Uint8Array;
  readonly next: NextTask[] = [];
  /** Tasks that ended without having run. */
  readonly unrun: number[] = [];
  /** Why mapped tasks failed that could not use their list. */
  readonly refused: { readonly task: number; readonly error: RunError }[] = [];
  readonly #cancelling: boolean;
  readonly #lastAttempts: ReadonlyMap<number, number>;
  readonly #ended: number[] = [];
  /** Mapped tasks of which instances ended, and how many. */
  readonly #freed = new Map<number, number>();

  constructor(
    version: Version,
    vector: Uint8Array,
    cancelling: boolean,
    lastAttempts: ReadonlyMap<number, number>,
  ) {
    this.version = version;
    this.vector = new Uint8Array(vector);
    this.#cancelling = cancelling;
    this.#lastAttempts = lastAttempts;
  }

  codeOf(task: number): number {
    return this.vector[task] ?? PENDING;
  }

  /** A task ended as this. */
  end(task: number, code: number): void {
    this.vector[task] = code;
    const instance = this.version.tasks[task]?.instance;
    if (!instance) this.#ended.push(task);
    else this.#freed.set(instance.of, (this.#freed.get(instance.of) ?? 0) + 1);
  }

  /** A task ends as this without having run; so do instances of it that have not begun. */
  endUnrun(task: number, code: number): void {
    this.unrun.push(task);
    const [, first, count] = expansionOf(this.version, task) ?? NO_EXPANSION;
    for (let at = first; first >= 0 && at < first + count; at += 1) {
      if (this.vector[at] === PENDING) this.vector[at] = code;
    }
    this.end(task, code);
  }

  /** The list of mapped tasks is there: it decides how many instances they have. */
  listed(list: number, result: unknown, stamp: number): void {
    for (const mapped of this.version.mapsOver.get(list) ?? []) {
      if (this.codeOf(mapped) === PENDING) this.#expand(mapped, countItems(result), stamp);
    }
  }

  /** A branch decided: direct dependents that it does not follow are skipped, but for what the others lead to. */
  branch(task: number, { follow, skipAll }: PlannedBranch): void {
    const direct = this.version.dependents[task] ?? [];
    const kept = new Set(follow);
    if (follow.length > 0) for (const each of this.#downstream(follow)) kept.add(each);
    const left = direct.filter((dependent) => !kept.has(dependent));
    const skipped = skipAll ? new Set([...left, ...this.#downstream(left)]) : left;
    for (const each of skipped) {
      if (kept.has(each) || this.codeOf(each) !== PENDING) continue;
      if (!this.version.tasks[each]?.teardown) this.endUnrun(each, NOT_CHOSEN);
    }
  }

  /** Follows the ends along the edges until nothing more comes of them. */
  settle(): void {
    let at = 0;
    while (at < this.#ended.length || this.#freed.size > 0) {
      for (; at < this.#ended.length; at += 1) {
        const ended = this.#ended[at] ?? 0;
        for (const dependent of this.version.dependents[ended] ?? []) {
          if (this.codeOf(dependent) !== PENDING) continue;
          this.#apply(dependent, judgeAfter(this.version, this.vector, dependent, ended));
        }
      }
      const freed = [...this.#freed];
      this.#freed.clear();
      for (const [mapped, count] of freed) this.#goOn(mapped, count);
    }
  }

  /** Asks the rules of all tasks that are pending: where a run begins, or goes on after a change from outside. */
  settleAll(): void {
    for (let task = 0; task < this.version.base.tasks.length; task += 1) {
      if (this.codeOf(task) !== PENDING) continue;
      this.#apply(task, judge(this.version, this.vector, task));
    }
    this.settle();
  }

  /** What the rule of a pending task says, without an end that it follows from. */
  reconsider(task: number): void {
    this.#apply(task, judge(this.version, this.vector, task));
  }

  #apply(task: number, verdict: Verdict): void {
    if (verdict === 'wait') return;
    const { teardown, map } = this.version.tasks[task] ?? {};
    if (verdict !== 'start') this.endUnrun(task, this.#cancelling ? CANCELLED : verdict);
    else if (this.#cancelling && !teardown) this.endUnrun(task, CANCELLED);
    else if (map) this.#startMapped(task);
    else this.#start(task);
  }

  #start(task: number): void {
    this.vector[task] = LIVE;
    this.next.push({
      task,
      state: this.version.tasks[task]?.dependsOnPast ? WAITS_FOR_PAST : READY,
      attempt: (this.#lastAttempts.get(task) ?? 0) + 1,
      retriesLeft: this.version.tasks[task]?.retries ?? 0,
      lost: 0,
      delayMs: 0,
    });
  }

  *#downstream(from: readonly number[]): Iterable<number> {
    const seen = new Set<number>();
    const left = [...from];
    for (let task = left.pop(); task !== undefined; task = left.pop()) {
      for (const dependent of this.version.dependents[task] ?? []) {
        if (seen.has(dependent)) continue;
        seen.add(dependent);
        left.push(dependent);
        yield dependent;
      }
    }
  }

  // Mapped tasks --------------------------------------------------------------------------------------------

  /** Sets instances apart. A list of the length that it had before, in a run that goes on, keeps those that there are. */
  #expand(task: number, count: number, stamp: number): void {
    const known = expansionOf(this.version, task);
    const others = this.version.expanded.filter(([mapped]) => mapped !== task);
    const most = this.version.tasks[task]?.map?.maxItems ?? 0;
    const usable = count >= 0 && count <= Math.min(most, MAX_TASKS - this.vector.length);
    let first = usable ? this.vector.length : -1;
    if (known && known[1] >= 0) {
      const [, start, length] = known;
      if (usable && length === count) first = start;
      this.#resetRange(start, length, first === start ? PENDING : SKIPPED);
    }
    if (first === this.vector.length && count > 0) {
      const longer = new Uint8Array(first + count);
      longer.set(this.vector);
      this.vector = longer;
    }
    const expanded: Expansion = [task, first, count, stamp];
    this.version = expandVersion(
      this.version,
      [...others, expanded].sort((a, b) => a[1] - b[1]),
    );
  }

  #resetRange(first: number, count: number, code: number): void {
    for (let at = first; at < first + count; at += 1) {
      if (this.codeOf(at) === LIVE || (code === PENDING && this.codeOf(at) === SUCCEEDED)) continue;
      this.vector[at] = code;
    }
  }

  #startMapped(task: number): void {
    const found = this.version.tasks[task];
    const over = this.version.tasks[found?.map?.over ?? -1]?.key ?? '';
    const [, first, count] = expansionOf(this.version, task) ?? NO_EXPANSION;
    if (first < 0) {
      this.refused.push({ task, error: refusal(over, count, found?.map?.maxItems ?? 0) });
      this.endUnrun(task, FAILED);
    } else if (count === 0) {
      this.endUnrun(task, SKIPPED);
    } else {
      this.vector[task] = LIVE;
      this.#goOn(task, found?.map?.concurrency ?? count);
    }
  }

  /** Starts so many further instances, and ends the mapped task when all of them have ended. */
  #goOn(task: number, places: number): void {
    if (this.codeOf(task) !== LIVE) return;
    const [, first, count] = expansionOf(this.version, task) ?? NO_EXPANSION;
    const end = first + count;
    const limit = this.version.tasks[task]?.map?.concurrency ?? count;
    let left = within(this.vector.indexOf(LIVE, first), end) ? places : limit;
    for (
      let at = this.vector.indexOf(PENDING, first);
      within(at, end) && left > 0;
      at = this.vector.indexOf(PENDING, at + 1)
    ) {
      if (this.#cancelling) this.vector[at] = CANCELLED;
      else {
        this.#start(at);
        left -= 1;
      }
    }
    if (within(this.vector.indexOf(LIVE, first), end)) return;
    if (within(this.vector.indexOf(PENDING, first), end)) return;
    this.#endMapped(task, this.vector.subarray(first, end));
  }

  #endMapped(task: number, codes: Uint8Array): void {
    if (codes.some(isFailure)) {
      this.end(task, this.#cancelling && !codes.includes(FAILED) ? CANCELLED : FAILED);
      return;
    }
    const succeeded = codes.filter((code) => code === SUCCEEDED);
    this.end(task, succeeded.length > 0 ? SUCCEEDED : SKIPPED);
    if (succeeded.length === 0) return;
    for (const mapped of this.version.mapsOver.get(task) ?? []) {
      const [, , , stamp] = expansionOf(this.version, mapped) ?? NO_EXPANSION;
      if (this.codeOf(mapped) === PENDING) this.#expand(mapped, succeeded.length, stamp + 1);
    }
  }

  // Cancelling ----------------------------------------------------------------------------------------------

  /**
   * Cancels what has not started: these tasks, and all that is pending. Teardowns that have something to tidy up stay,
   * unless they are to go too.
   */
  cancel(waiting: Iterable<number>, teardownsToo: boolean): void {
    const kept = teardownsToo ? new Set<number>() : this.#teardownsInUse();
    for (const task of waiting) this.end(task, CANCELLED);
    for (const [task, code] of this.vector.entries()) {
      if (code !== PENDING || kept.has(task)) continue;
      if (this.version.tasks[task]?.instance) this.vector[task] = CANCELLED;
      else this.endUnrun(task, CANCELLED);
    }
    for (const [task, , count] of this.version.expanded) this.#freed.set(task, count);
    this.settle();
  }

  #teardownsInUse(): ReadonlySet<number> {
    const begun = (task: number) => [LIVE, SUCCEEDED, FAILED].includes(this.codeOf(task));
    return new Set(
      this.version.teardowns.filter((task) => {
        const setups = this.version.tasks[task]?.teardown?.setups ?? [];
        if (setups.length === 0) return this.version.gates[task]?.some(begun) ?? false;
        return setups.some((setup) => [LIVE, SUCCEEDED].includes(this.codeOf(setup)));
      }),
    );
  }
}

/** Whether all tasks were skipped; what tidies up does not count. */
export function isAllSkipped(version: Version, vector: Uint8Array): boolean {
  return vector.every(
    (code, task) => isSkip(code) || (isEnded(code) && Boolean(version.tasks[task]?.teardown)),
  );
}

/** A failure that the run does not forgive: its task's index; −1 for none. */
export function findFailure(version: Version, vector: Uint8Array): number {
  return vector.findIndex(
    (code, task) => (code === FAILED || code === UPSTREAM_FAILED) && !isForgiven(version, task),
  );
}

/** Whether a task may fail without the run failing. */
export function isForgiven(version: Version, task: number): boolean {
  const found = version.tasks[task];
  // A place of a list that was read anew since.
  if (found === undefined || found.key === '') return true;
  return found.allowFailure === true || found.teardown?.failRun === false;
}

/** Tasks of one run with all instances: each change of the run writes a byte for each. */
const MAX_TASKS = 1_000_000;
const NO_EXPANSION: Expansion = [-1, -1, -1, 0];

function within(place: number, end: number): boolean {
  return place >= 0 && place < end;
}

function refusal(over: string, count: number, maxItems: number): RunError {
  const list = `it maps over the result of ${JSON.stringify(over)}, which`;
  if (count < 0) {
    const message = `${list} is neither an array nor an object: return one of them there`;
    return { name: 'NotAList', message };
  }
  if (count <= maxItems) {
    const message = `${list} has ${count} items: with them the run has more than ${MAX_TASKS} tasks`;
    return { name: 'TooManyItems', message };
  }
  const message = `${list} has ${count} items, and at most ${maxItems} are allowed: raise maxItems, or give each item more to do`;
  return { name: 'TooManyItems', message };
}
