/** Log lines of tasks on their way to the server: a bounded buffer, since logging must never hold up a task. */
import type { Assignment, LogLine, LogsRequest } from '../../domain/agent-protocol.ts';
import type { Clock } from '../../domain/time.ts';
import type { TaskLog } from '../define/context.ts';
import { toRunError } from './failure.ts';

const MAX_LINES = 10_000;
const LINES_A_CALL = 1_000;
const FLUSH_AFTER_MS = 50;
const MAX_MESSAGE = 16_384;
const MAX_ATTRIBUTES = 16_384;

export class LogBuffer {
  readonly #clock: Clock;
  readonly #send: (request: LogsRequest) => Promise<void>;
  #lines: LogLine[] = [];
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | null = null;

  /** @param send lines that it fails to send are lost, and counted */
  constructor(clock: Clock, send: (request: LogsRequest) => Promise<void>) {
    this.#clock = clock;
    this.#send = send;
  }

  /** The log of one attempt. */
  of({ runId, taskKey, attempt }: Assignment): TaskLog {
    const at =
      (level: LogLine['level']) =>
      (message: string, attributes: Readonly<Record<string, unknown>> = {}) =>
        this.#add({
          ...{ runId, taskKey, attempt, level },
          at: this.#clock.now(),
          message: String(message).slice(0, MAX_MESSAGE),
          attributes: plain(attributes),
        });
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  }

  /** Sends what is there, and waits for it. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#sending || this.#lines.length > 0) {
      this.#sending ??= this.#sendSome();
      await this.#sending;
    }
  }

  #add(line: LogLine): void {
    if (this.#lines.length >= MAX_LINES) {
      this.#dropped += 1;
      return;
    }
    this.#lines.push(line);
    this.#timer ??= setTimeout(() => void this.flush(), FLUSH_AFTER_MS);
  }

  async #sendSome(): Promise<void> {
    const lines = this.#lines.splice(0, LINES_A_CALL);
    const dropped = this.#dropped;
    this.#dropped = 0;
    try {
      await this.#send({ lines, dropped });
    } catch {
      this.#dropped += dropped + lines.length;
    } finally {
      this.#sending = null;
    }
  }
}

/** Attributes as JSON: errors by name and message, what cannot be told left out. */
function plain(attributes: Readonly<Record<string, unknown>>): Record<string, unknown> {
  try {
    const json = JSON.stringify(attributes, (_key, value: unknown) => {
      if (value instanceof Error) return toRunError(value);
      return typeof value === 'bigint' ? value.toString() : value;
    });
    if (json.length <= MAX_ATTRIBUTES) return JSON.parse(json) as Record<string, unknown>;
    return { note: `attributes of ${json.length} characters were left out` };
  } catch (error) {
    return { note: `attributes that are not JSON were left out: ${String(error)}` };
  }
}
