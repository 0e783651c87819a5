/** `ctx.once`: one holder of a key at a time does the work, and its result is everybody's. */
import type { OnceReply, OnceRequest } from '../../domain/agent-protocol.ts';
import type { OnceOptions } from '../define/context.ts';
import { throughJson } from './encode.ts';
import { pause } from './persist.ts';

/** A process died between the effect and its record, and the code wants a human to look. */
class OnceUnknownError extends Error {
  override readonly name = 'OnceUnknownError';
}

const LEAST_WAIT_MS = 20;
const LONGEST_WAIT_MS = 2_000;
const MAX_KEY = 1_000;

export interface OnceAttempt {
  readonly runId: string;
  readonly token: string;
  readonly signal: AbortSignal;
  ask(request: OnceRequest): Promise<OnceReply>;
}

/** @throws what `work` throws; OnceUnknownError where `onUnknown` is `stop` and nobody knows what happened */
export async function doOnce<T>(
  attempt: OnceAttempt,
  key: string,
  work: (key: string) => T | Promise<T>,
  options: OnceOptions = {},
): Promise<Awaited<T>> {
  if (typeof key !== 'string' || key === '' || key.length > MAX_KEY) {
    throw new RangeError(`a key of ctx.once has 1 to ${MAX_KEY} characters`);
  }
  const { runId, token, signal } = attempt;
  const onUnknown = options.onUnknown ?? 'repeat';
  while (true) {
    signal.throwIfAborted();
    const reply = await attempt.ask({ op: 'begin', runId, token, key, onUnknown });
    if (reply.outcome === 'done') return reply.result as Awaited<T>;
    if (reply.outcome === 'unknown') {
      throw new OnceUnknownError(
        `nobody knows whether the work under ${JSON.stringify(key)} took effect: find out, then settle the key`,
      );
    }
    if (reply.outcome === 'held') {
      await pause(Math.min(LONGEST_WAIT_MS, Math.max(LEAST_WAIT_MS, reply.retryInMs)), signal);
      continue;
    }
    return hold(attempt, key, work);
  }
}

async function hold<T>(
  { runId, token, ask }: OnceAttempt,
  key: string,
  work: (key: string) => T | Promise<T>,
): Promise<Awaited<T>> {
  let result: Awaited<T>;
  try {
    result = throughJson(await work(key));
  } catch (error) {
    // Where this is not heard, the key is free again when the lease has ended.
    await ask({ op: 'fail', runId, token, key }).catch(() => undefined);
    throw error;
  }
  await ask({ op: 'finish', runId, token, key, result: result ?? null });
  return result;
}
