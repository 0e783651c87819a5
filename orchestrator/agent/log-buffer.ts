/**
 * Log lines of tasks on their way to the server. Each attempt has a bounded queue of its own, and each call takes a
 * share of every queue: logging never holds up a task, and one that prints without end harms no other.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Assignment, LogLine, LogsRequest } from '../../domain/agent-protocol.ts';
import type { Clock } from '../../domain/time.ts';
import type { TaskLog } from '../define/context.ts';
import { toRunError } from './error-record.ts';
import { LANE_LIMITS, type LaneLimits, LogLane } from './log-lane.ts';
import { ConnectionLost } from './transport.ts';

const LINES_A_CALL = 2_000;
const CHARACTERS_A_CALL = 1_048_576;
const CALLS_IN_FLIGHT = 2;
const FLUSH_AFTER_MS = 20;
const RETRY_AFTER_MS = 500;
const MAX_MESSAGE = 16_384;
const MAX_ATTRIBUTES = 16_384;

/** The log of an attempt, which can be asked before a line is made. */
export interface AttemptLog extends TaskLog {
  /** Whether a line would find room; where not, it counts as dropped. */
  hasRoom(level: LogLine['level']): boolean;
}

export class LogBuffer {
  readonly #clock: Clock;
  readonly #send: (request: LogsRequest) => Promise<void>;
  readonly #limits: LaneLimits;
  readonly #lanes = new WeakMap<Assignment, LogLane>();
  /** Lanes with something to send, in the order in which they have their turn. */
  readonly #waiting = new Set<LogLane>();
  readonly #calls = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;

  /** @param send fails with ConnectionLost where the lines should be sent again */
  constructor(
    clock: Clock,
    send: (request: LogsRequest) => Promise<void>,
    limits: LaneLimits = LANE_LIMITS,
  ) {
    this.#clock = clock;
    this.#send = send;
    this.#limits = limits;
  }

  /** The log of one attempt. */
  of(assignment: Assignment): AttemptLog {
    const lane = this.#laneOf(assignment);
    let known = false;
    const hasRoom = (level: LogLine['level']) => {
      known = lane.admits(level, this.#clock.now());
      this.#wake(lane);
      return known;
    };
    const at =
      (level: LogLine['level']) =>
      (message: string, attributes: Readonly<Record<string, unknown>> = {}) => {
        const asked = known;
        known = false;
        if (!asked && !lane.admits(level, this.#clock.now())) return this.#wake(lane);
        lane.add(level, this.#clock.now(), shortened(String(message)), plain(attributes));
        this.#wake(lane);
      };
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), hasRoom };
  }

  /** Takes lines that a process of an attempt's own let through; resolves when there is room for more. */
  async take(assignment: Assignment, { lines, dropped }: LogsRequest): Promise<void> {
    const lane = this.#laneOf(assignment);
    lane.take(lines, dropped, this.#clock.now());
    this.#wake(lane);
    await lane.room();
  }

  /** Sends what is there, and waits for it. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#waiting.size > 0 || this.#calls.size > 0) {
      this.#sendSome();
      if (this.#calls.size > 0) await Promise.race(this.#calls);
    }
  }

  #laneOf(assignment: Assignment): LogLane {
    const known = this.#lanes.get(assignment);
    if (known) return known;
    const lane = new LogLane(assignment, this.#limits, this.#clock.now());
    this.#lanes.set(assignment, lane);
    return lane;
  }

  #wake(lane: LogLane): void {
    this.#waiting.add(lane);
    if (this.#calls.size >= CALLS_IN_FLIGHT) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#sendSome();
    }, FLUSH_AFTER_MS);
  }

  #sendSome(): void {
    while (this.#waiting.size > 0 && this.#calls.size < CALLS_IN_FLIGHT) {
      const { lines, lanes } = this.#gather();
      if (lines.length === 0) continue;
      const call: Promise<void> = this.#deliver(lines, lanes).finally(() => {
        this.#calls.delete(call);
        this.#sendSome();
      });
      this.#calls.add(call);
    }
  }

  /** Lines that a server which is away did not take are sent again later; what it refuses is counted as dropped. */
  async #deliver(lines: readonly LogLine[], lanes: ReadonlyMap<LogLane, readonly LogLine[]>) {
    try {
      await this.#send({ lines, dropped: 0 });
    } catch (error) {
      const again = error instanceof ConnectionLost;
      for (const [lane, part] of lanes) {
        if (again) lane.putBack(part, this.#clock.now());
        else lane.drop(part.length, this.#clock.now());
        if (again && !lane.isEmpty) this.#waiting.add(lane);
      }
      if (again) await delay(RETRY_AFTER_MS, undefined, { ref: false });
    }
  }

  /** A share of each waiting lane; who is not done goes to the end of the line. */
  #gather(): { lines: LogLine[]; lanes: Map<LogLane, readonly LogLine[]> } {
    const lines: LogLine[] = [];
    const lanes = new Map<LogLane, readonly LogLine[]>();
    const all = [...this.#waiting];
    let characters = 0;
    for (const [index, lane] of all.entries()) {
      const left = all.length - index;
      const share = Math.ceil((LINES_A_CALL - lines.length) / left);
      const room = Math.ceil((CHARACTERS_A_CALL - characters) / left);
      if (share <= 0 || room <= 0) break;
      const part = lane.next(share, room, this.#clock.now());
      for (const line of part) {
        lines.push(line);
        characters += line.message.length;
      }
      lanes.set(lane, part);
      this.#waiting.delete(lane);
      if (!lane.isEmpty) this.#waiting.add(lane);
    }
    return { lines, lanes };
  }
}

/** A copy: a part of a text would keep the whole of it in memory. */
function shortened(message: string): string {
  if (message.length <= MAX_MESSAGE) return message;
  const start = Buffer.from(message.slice(0, MAX_MESSAGE)).toString();
  return `${start}… (the first ${MAX_MESSAGE} of ${message.length} characters)`;
}

const NO_ATTRIBUTES: Readonly<Record<string, unknown>> = {};

/** Attributes as JSON: errors by name and message, what cannot be told left out. */
function plain(attributes: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  try {
    const json = JSON.stringify(attributes, (_key, value: unknown) => {
      if (value instanceof Error) return toRunError(value);
      return typeof value === 'bigint' ? value.toString() : value;
    });
    if (json === '{}') return NO_ATTRIBUTES;
    if (json.length <= MAX_ATTRIBUTES) return JSON.parse(json) as Record<string, unknown>;
    return { note: `attributes of ${json.length} characters were left out` };
  } catch (error) {
    return { note: `attributes that are not JSON were left out: ${String(error)}` };
  }
}
