/**
 * Lines of one attempt on their way: a queue with bounds of its own, so that a task which prints without end loses its
 * own lines and nobody else's. What finds no room is counted, and the count becomes a line itself. Warnings and errors
 * find room a little longer than the rest.
 */
import type { Assignment, LogLine } from '../../domain/agent-protocol.ts';

export interface LaneLimits {
  /** Lines and characters that may wait at a time. */
  readonly maxLines: number;
  readonly maxCharacters: number;
  /** Lines and characters a second, once a burst of `burst` seconds is used up. */
  readonly linesASecond: number;
  readonly charactersASecond: number;
  readonly burstSeconds: number;
}

export const LANE_LIMITS: LaneLimits = {
  maxLines: 5_000,
  maxCharacters: 2_097_152,
  linesASecond: 5_000,
  charactersASecond: 1_048_576,
  burstSeconds: 4,
};

const MS_A_SECOND = 1_000;
/** What is left of each bound for warnings and errors. */
const RESERVE = 0.1;
/** Characters that a line costs beside its message. */
const LINE_CHARACTERS = 150;

export class LogLane {
  readonly assignment: Assignment;
  readonly #limits: LaneLimits;
  #lines: LogLine[] = [];
  #characters = 0;
  #dropped = 0;
  #droppedSince = 0;
  #seq = 0;
  #lineCredit: number;
  #characterCredit: number;
  #creditAt: number;
  #roomWanted: (() => void)[] = [];

  constructor(assignment: Assignment, limits: LaneLimits, now: number) {
    this.assignment = assignment;
    this.#limits = limits;
    this.#lineCredit = limits.linesASecond * limits.burstSeconds;
    this.#characterCredit = limits.charactersASecond * limits.burstSeconds;
    this.#creditAt = now;
  }

  get isEmpty(): boolean {
    return this.#lines.length === 0 && this.#dropped === 0;
  }

  /** Whether a line of this level finds room; one that does not is counted as dropped. */
  admits(level: LogLine['level'], now: number): boolean {
    this.#earn(now);
    const important = level === 'warn' || level === 'error';
    const share = important ? 1 : 1 - RESERVE;
    const { maxLines, maxCharacters } = this.#limits;
    const hasCredit = important || (this.#lineCredit >= 1 && this.#characterCredit > 0);
    if (
      hasCredit &&
      this.#lines.length < maxLines * share &&
      this.#characters < maxCharacters * share
    ) {
      return true;
    }
    this.drop(1, now);
    return false;
  }

  /** Adds a line that found room. */
  add(level: LogLine['level'], at: number, message: string, attributes: LogLine['attributes']) {
    if (this.#dropped > 0) this.#tellDropped(at);
    this.#push(level, at, message, attributes);
    this.#lineCredit -= 1;
    this.#characterCredit -= message.length + LINE_CHARACTERS;
  }

  /** Takes lines that another process let through; `room` tells when more may come. */
  take(lines: readonly LogLine[], dropped: number, now: number): void {
    for (const { level, at, message, attributes } of lines) {
      this.#push(level, at, message, attributes);
    }
    if (dropped > 0) this.drop(dropped, now);
  }

  /** Counts lines that were lost. */
  drop(lines: number, now: number): void {
    if (this.#dropped === 0) this.#droppedSince = now;
    this.#dropped += lines;
  }

  /** Resolves when the queue is no longer full. */
  room(): Promise<void> | undefined {
    const { maxLines, maxCharacters } = this.#limits;
    if (this.#lines.length < maxLines && this.#characters < maxCharacters) return undefined;
    return new Promise((resolve) => this.#roomWanted.push(resolve));
  }

  /** The next lines to send, at most so many lines and about so many characters. */
  next(maxLines: number, maxCharacters: number, now: number): LogLine[] {
    if (this.#dropped > 0 && this.#lines.length === 0) this.#tellDropped(now);
    let count = 0;
    let characters = 0;
    for (const line of this.#lines) {
      if (count >= maxLines || (count > 0 && characters >= maxCharacters)) break;
      count += 1;
      characters += line.message.length + LINE_CHARACTERS;
    }
    const next = this.#lines.splice(0, count);
    this.#characters -= characters;
    for (const wake of this.#roomWanted.splice(0)) wake();
    return next;
  }

  /** Takes back what could not be sent, as far as there is room. */
  putBack(lines: readonly LogLine[], now: number): void {
    const kept = lines.slice(0, Math.max(0, this.#limits.maxLines - this.#lines.length));
    this.#lines.unshift(...kept);
    for (const { message } of kept) this.#characters += message.length + LINE_CHARACTERS;
    if (kept.length < lines.length) this.drop(lines.length - kept.length, now);
  }

  #push(level: LogLine['level'], at: number, message: string, attributes: LogLine['attributes']) {
    const { runId, taskKey, attempt } = this.assignment;
    this.#seq += 1;
    this.#lines.push({ runId, taskKey, attempt, at, seq: this.#seq, level, message, attributes });
    this.#characters += message.length + LINE_CHARACTERS;
  }

  #tellDropped(at: number): void {
    const dropped = this.#dropped;
    this.#dropped = 0;
    const { linesASecond } = this.#limits;
    this.#push(
      'warn',
      Math.max(at, this.#droppedSince),
      `${dropped} lines were dropped: a task may log about ${linesASecond} lines a second`,
      { dropped },
    );
  }

  #earn(now: number): void {
    const seconds = (now - this.#creditAt) / MS_A_SECOND;
    if (seconds <= 0) return;
    this.#creditAt = now;
    const { linesASecond, charactersASecond, burstSeconds } = this.#limits;
    this.#lineCredit = Math.min(
      linesASecond * burstSeconds,
      this.#lineCredit + seconds * linesASecond,
    );
    this.#characterCredit = Math.min(
      charactersASecond * burstSeconds,
      this.#characterCredit + seconds * charactersASecond,
    );
  }
}
