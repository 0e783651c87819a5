/**
 * Watches an agent's process from outside. When it dies, the server is told at once whose tasks are lost. When its
 * event loop is blocked for too long, the task that blocks it is found in the blocked code itself and stopped there:
 * it fails, the agent goes on. Where that does not work, the process is ended, which hands its tasks back.
 */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { explainDeath } from '../../orchestrator/agent/isolate/death.ts';
import { interruptBlocked } from './interrupt-blocked.ts';

/** What an agent's process says to whoever watches it. */
export type AgentWord =
  | {
      readonly type: 'watch';
      readonly url: string;
      readonly token: string;
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
const TELL_LIMIT_MS = 2_000;
const TELL_PAUSE_MS = 500;
const TELL_FOR_MS = 60_000;
const MS_A_SECOND = 1_000;

export interface AgentWatch {
  /** It is told to end: blocked code must not delay that. */
  stopping(): void;
  /** Whether it said that starting it again is of no use. */
  readonly isHopeless: boolean;
}

/**
 * @param said the end of what it wrote on standard error
 */
export function watchAgent(
  child: ChildProcess,
  said: () => Promise<string>,
  log: (message: string) => void,
): AgentWatch {
  let settings: Extract<AgentWord, { type: 'watch' }> | undefined;
  let session: string | undefined;
  let beatAt = performance.now();
  let lookedAt = beatAt;
  let isBusy = false;
  let isStopping = false;
  let isHopeless = false;
  let endedFor: string | undefined;

  child.on('message', (message) => {
    const word = message as AgentWord;
    beatAt = performance.now();
    if (word.type === 'watch') settings = word;
    else if (word.type === 'session') session = word.id;
    else if (word.type === 'hopeless') isHopeless = true;
  });

  const timer = setInterval(() => {
    const now = performance.now();
    // Where this very process slept, the other one did as well.
    if (now - lookedAt > LOOK_EVERY_MS * 4) beatAt = now;
    lookedAt = now;
    if (settings === undefined || isBusy) return;
    const limitMs = isStopping
      ? Math.min(STOPPING_LIMIT_MS, settings.stallLimitMs)
      : settings.stallLimitMs;
    if (now - beatAt < limitMs) return;
    isBusy = true;
    void unblock(limitMs).finally(() => {
      isBusy = false;
    });
  }, LOOK_EVERY_MS);
  timer.unref();

  async function unblock(limitMs: number): Promise<void> {
    const forSeconds = Math.round(limitMs / MS_A_SECOND);
    const blocked = await interruptBlocked(child.pid ?? 0, said).catch((error: unknown) => {
      log(`the code that blocks the agent could not be interrupted: ${String(error)}`);
      return null;
    });
    if (blocked !== null) {
      const message = `its code blocked the agent's event loop for ${forSeconds} s, at ${blocked.where}: it was stopped there`;
      const word: BlockedWord = { type: 'blocked', token: blocked.token, message };
      if (child.connected) child.send(word, () => undefined);
      const seenAt = performance.now();
      while (performance.now() - seenAt < RECOVER_MS) {
        await delay(LOOK_EVERY_MS / 5);
        if (beatAt > seenAt)
          return log(`a task blocked the agent, and was stopped at ${blocked.where}`);
      }
    }
    endedFor = `its event loop was blocked for ${forSeconds} s`;
    log(`${endedFor}: the agent is ended`);
    child.kill('SIGKILL');
  }

  child.once('exit', (code, signal) => {
    clearInterval(timer);
    if (session === undefined || settings === undefined || code === 0) return;
    void died(settings, session, code, signal).catch((error: unknown) => {
      log(`the server was not told of the agent's death: ${String(error)}`);
    });
  });

  async function died(
    { url, token }: { url: string; token: string },
    id: string,
    code: number | null,
    signal: NodeJS.Signals | null,
  ): Promise<void> {
    const death = explainDeath({ code, signal, said: await said(), memoryMiB: null });
    await tellDied(`${url}/api/v1/agent/${id}/died`, token, endedFor ?? death.message);
  }

  return {
    stopping() {
      isStopping = true;
    },
    get isHopeless() {
      return isHopeless;
    },
  };
}

/** Tells until the server has heard it, or the lease is over anyway. */
async function tellDied(url: string, token: string, reason: string): Promise<void> {
  const until = performance.now() + TELL_FOR_MS;
  while (performance.now() < until) {
    const response = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ reason }),
      signal: AbortSignal.timeout(TELL_LIMIT_MS),
    }).catch(() => undefined);
    if (response !== undefined && response.status < 500) return;
    await delay(TELL_PAUSE_MS, undefined, { ref: false });
  }
}
