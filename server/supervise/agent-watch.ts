/**
 * Watches an agent's process from outside. When it dies, the server is told at once whose tasks are lost. When its
 * event loop is blocked for too long, the blocked code itself is asked which task it is; then the process is ended.
 * That task fails by name, the others are handed back, and run again in a new process.
 */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { DiedRequest, WorkflowFileError } from '../../domain/agent-protocol.ts';
import { explainDeath } from '../../orchestrator/agent/isolate/death.ts';
import { findBlocking } from './find-blocking.ts';

/** What an agent's process says to whoever watches it. */
export type AgentWord =
  | {
      readonly type: 'watch';
      readonly url: string;
      readonly token: string;
      /** 0 for no limit: somebody may look at it with a debugger. */
      readonly stallLimitMs: number;
    }
  | { readonly type: 'session'; readonly id: string }
  | { readonly type: 'beat' }
  /** All that is wrong with files, after each reading of them. */
  | { readonly type: 'files'; readonly faults: readonly WorkflowFileError[] }
  /** It ends, since no further attempt would do better. */
  | { readonly type: 'hopeless' };

/**
 * Lets Node's inspector be opened by a signal, and its address be known only to who reads standard error. And lets V8
 * collect garbage sooner: under load that is a third less memory, for a hundredth of the time of a task.
 */
export const WATCHED_NODE_OPTIONS = [
  ...['--inspect-port=127.0.0.1:0', '--inspect-publish-uid=stderr'],
  ...['--max-semi-space-size=8', '--heap-growing-percent=60'],
];

export const BEAT_EVERY_MS = 500;

const LOOK_EVERY_MS = 500;
/** While it is told to end, it must answer sooner. */
const STOPPING_LIMIT_MS = 3_500;
/** For word of a loop that ended by itself while it was looked at. */
const LAST_CHANCE_MS = 250;
const TELL_LIMIT_MS = 2_000;
const TELL_PAUSE_MS = 500;
const TELL_FOR_MS = 60_000;
const MS_A_SECOND = 1_000;

export class AgentWatch {
  readonly #child: ChildProcess;
  readonly #said: () => Promise<string>;
  readonly #log: (message: string) => void;
  readonly #timer: NodeJS.Timeout;
  #settings: Extract<AgentWord, { type: 'watch' }> | undefined;
  #session: string | undefined;
  #beatAt = performance.now();
  #lookedAt = this.#beatAt;
  #isBusy = false;
  #isStopping = false;
  #isHopeless = false;
  /** Why its process was ended from here. */
  #endedFor: string | undefined;
  #culprit: DiedRequest['culprit'];
  #told: Promise<void> = Promise.resolve();

  /** @param said the end of what it wrote on standard error */
  constructor(child: ChildProcess, said: () => Promise<string>, log: (message: string) => void) {
    this.#child = child;
    this.#said = said;
    this.#log = log;
    child.on('message', (message) => this.#hear(message as AgentWord));
    child.once('exit', (code, signal) => this.#ended(code, signal));
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  /** It is told to end: blocked code must not delay that. */
  stopping(): void {
    this.#isStopping = true;
  }

  /** Whether it said that starting it again is of no use. */
  get isHopeless(): boolean {
    return this.#isHopeless;
  }

  /** Resolves when the server has heard of its death, where there is something to tell, or cannot be reached. */
  get told(): Promise<void> {
    return this.#told;
  }

  #hear(word: AgentWord): void {
    this.#beatAt = performance.now();
    if (word.type === 'watch') this.#settings = word;
    else if (word.type === 'session') this.#session = word.id;
    else if (word.type === 'hopeless') this.#isHopeless = true;
  }

  #look(): void {
    const now = performance.now();
    // Where this very process slept, the other one did as well.
    if (now - this.#lookedAt > LOOK_EVERY_MS * 4) this.#beatAt = now;
    this.#lookedAt = now;
    const stallLimitMs = this.#settings?.stallLimitMs ?? 0;
    if (stallLimitMs === 0 || this.#isBusy) return;
    const limitMs = this.#isStopping ? Math.min(STOPPING_LIMIT_MS, stallLimitMs) : stallLimitMs;
    if (now - this.#beatAt < limitMs + BEAT_EVERY_MS) return;
    this.#isBusy = true;
    void this.#endBlocked(limitMs).finally(() => {
      this.#isBusy = false;
    });
  }

  async #endBlocked(limitMs: number): Promise<void> {
    const lastBeatAt = this.#beatAt;
    const pid = this.#child.pid ?? 0;
    const blocking = await findBlocking(pid, this.#said).catch((error: unknown) => {
      this.#log(`the code that blocks the agent could not be found: ${String(error)}`);
      return null;
    });
    await delay(LAST_CHANCE_MS);
    if (this.#beatAt > lastBeatAt) return;
    const seconds = Math.round(limitMs / MS_A_SECOND);
    if (blocking === null) {
      this.#endedFor = `its event loop was blocked for ${seconds} s`;
    } else {
      const { token, where } = blocking;
      this.#endedFor = `a task blocked its event loop for ${seconds} s, at ${where}`;
      const message = `its code blocked the agent's event loop for ${seconds} s, at ${where}: its process was ended (isolation "process" lets it compute for longer)`;
      this.#culprit = { token, message };
    }
    this.#log(`${this.#endedFor}: the agent is ended`);
    this.#child.kill('SIGKILL');
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): void {
    clearInterval(this.#timer);
    if (this.#session === undefined || this.#settings === undefined || code === 0) return;
    const { url, token } = this.#settings;
    const session = `${url}/api/v1/agent/${this.#session}`;
    this.#told = this.#tellDied(session, token, code, signal).catch((error: unknown) => {
      this.#log(`the server was not told of the agent's death: ${String(error)}`);
    });
  }

  async #tellDied(
    session: string,
    token: string,
    code: number | null,
    signal: NodeJS.Signals | null,
  ): Promise<void> {
    const death = explainDeath({ code, signal, said: await this.#said(), memoryMiB: null });
    const request: DiedRequest = {
      reason: this.#endedFor ?? death.message,
      ...(this.#culprit === undefined ? {} : { culprit: this.#culprit }),
    };
    await tellDied(`${session}/died`, token, request);
  }
}

/** Tells until the server has heard it, or the lease is over anyway. */
async function tellDied(url: string, token: string, request: DiedRequest): Promise<void> {
  const until = performance.now() + TELL_FOR_MS;
  while (performance.now() < until) {
    const response = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(request),
      signal: AbortSignal.timeout(TELL_LIMIT_MS),
    }).catch(() => undefined);
    if (response !== undefined && response.status < 500) return;
    await delay(TELL_PAUSE_MS, undefined, { ref: false });
  }
}
