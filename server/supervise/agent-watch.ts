/**
 * Watches an agent's process from outside. When it dies, the server is told at once whose tasks are lost. When its
 * event loop is blocked for too long, the task that blocks it is found in the blocked code itself and stopped there:
 * it fails, the agent goes on. Where that does not work, the process is ended, which hands its tasks back.
 */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { DiedRequest } from '../../domain/agent-protocol.ts';
import { explainDeath } from '../../orchestrator/agent/isolate/death.ts';
import { interruptBlocked } from './interrupt-blocked.ts';

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
  /** It ends, since no further attempt would do better. */
  | { readonly type: 'hopeless' };

/** What it is told: an attempt was stopped for blocking the event loop. */
export interface BlockedWord {
  readonly type: 'blocked';
  readonly token: string;
  readonly message: string;
}

/** Lets Node's inspector be opened by a signal, and its address be known only to who reads standard error. */
export const WATCHED_NODE_OPTIONS = ['--inspect-port=127.0.0.1:0', '--inspect-publish-uid=stderr'];

export const BEAT_EVERY_MS = 1_000;

const LOOK_EVERY_MS = 500;
/** While it is told to end, it must answer sooner. */
const STOPPING_LIMIT_MS = 4_000;
const RECOVER_MS = 3_000;
const RECOVER_LOOK_MS = 100;
const MAX_INTERRUPTIONS = 2;
const TELL_LIMIT_MS = 2_000;
const TELL_PAUSE_MS = 500;
const TELL_FOR_MS = 60_000;
const MS_A_SECOND = 1_000;

export class AgentWatch {
  readonly #child: ChildProcess;
  readonly #said: () => Promise<string>;
  readonly #log: (message: string) => void;
  readonly #timer: NodeJS.Timeout;
  /** How often each attempt was interrupted, by its token. */
  readonly #interrupted = new Map<string, number>();
  #settings: Extract<AgentWord, { type: 'watch' }> | undefined;
  #session: string | undefined;
  #beatAt = performance.now();
  #lookedAt = this.#beatAt;
  #isBusy = false;
  #isStopping = false;
  #isHopeless = false;
  #endedFor: string | undefined;
  /** The attempt that was interrupted last, until the agent was seen to go on. */
  #culprit: { readonly token: string; readonly message: string } | undefined;

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
    if (now - this.#beatAt < limitMs) return;
    this.#isBusy = true;
    void this.#unblock(limitMs).finally(() => {
      this.#isBusy = false;
    });
  }

  async #unblock(limitMs: number): Promise<void> {
    const seconds = Math.round(limitMs / MS_A_SECOND);
    if (await this.#interrupt(seconds)) return;
    this.#endedFor = `its event loop was blocked for ${seconds} s`;
    this.#log(`${this.#endedFor}: the agent is ended`);
    this.#child.kill('SIGKILL');
  }

  /** @returns whether the agent goes on */
  async #interrupt(seconds: number): Promise<boolean> {
    const blocked = await interruptBlocked(this.#child.pid ?? 0, this.#said).catch((error) => {
      this.#log(`the code that blocks the agent could not be interrupted: ${String(error)}`);
      return null;
    });
    if (blocked === null) return false;
    const { token, where } = blocked;
    const message = `its code blocked the agent's event loop for ${seconds} s, at ${where}: it was stopped there`;
    this.#culprit = { token, message };
    const times = (this.#interrupted.get(token) ?? 0) + 1;
    this.#interrupted.set(token, times);
    // It comes back by a timer or the like, which no interruption ends.
    if (times > MAX_INTERRUPTIONS) return false;
    const word: BlockedWord = { type: 'blocked', token, message };
    if (this.#child.connected) this.#child.send(word, () => undefined);
    for (const seenAt = performance.now(); performance.now() - seenAt < RECOVER_MS; ) {
      await delay(RECOVER_LOOK_MS);
      if (this.#beatAt <= seenAt) continue;
      this.#culprit = undefined;
      this.#log(`a task blocked the agent, and was stopped at ${where}`);
      return true;
    }
    return false;
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): void {
    clearInterval(this.#timer);
    if (this.#session === undefined || this.#settings === undefined || code === 0) return;
    void this.#tellDied(this.#settings, this.#session, code, signal).catch((error: unknown) => {
      this.#log(`the server was not told of the agent's death: ${String(error)}`);
    });
  }

  async #tellDied(
    { url, token }: { url: string; token: string },
    session: string,
    code: number | null,
    signal: NodeJS.Signals | null,
  ): Promise<void> {
    const death = explainDeath({ code, signal, said: await this.#said(), memoryMiB: null });
    const reason = this.#endedFor ?? death.message;
    const request: DiedRequest = {
      ...{ reason: this.#culprit?.message ?? reason },
      ...(this.#culprit === undefined ? {} : { culprit: this.#culprit }),
    };
    await tellDied(`${url}/api/v1/agent/${session}/died`, token, request);
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
