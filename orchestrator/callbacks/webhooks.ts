/**
 * Sends callbacks to addresses, as CloudEvents 1.0 in structured mode. Each is taken for a while, so that one whose
 * server dies is sent by another; so it comes at least once, and its id tells that it came before. Only addresses that
 * the operator allowed are sent to: workflow code is not to reach into the network of the servers.
 */
import type { Clock } from '../../domain/time.ts';
import type { Reconciler } from '../service.ts';
import { claimWebhooks, noteSent, type ToSendRow } from '../store/callback.ts';
import type { Db } from '../store/connection.ts';
import { isAllowed, toCloudEvent } from './cloud-event.ts';

export interface WebhookDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly webhooksTo: readonly string[];
  log(message: string): void;
}

const EVERY_MS = 500;
const AT_ONCE = 20;
const MAX_ROUNDS = 20;
const TIMEOUT_MS = 10_000;
/** Longer than sending takes. */
const TAKEN_MS = 30_000;
const MAX_ATTEMPTS = 8;
const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 300_000;
/** Answers that another attempt may mend. */
const PASSING = new Set([408, 425, 429]);
const SERVER_ERROR = 500;

type Sent =
  | { readonly ok: true }
  | { readonly ok: false; readonly error: string; readonly final: boolean };

export function createWebhooks(deps: WebhookDeps): {
  reconciler: Reconciler;
  close(): Promise<void>;
} {
  const closing = new AbortController();
  let running: Promise<void> = Promise.resolve();

  async function step(): Promise<boolean> {
    const now = deps.clock.now();
    const due = await claimWebhooks(deps.db, new Date(now), new Date(now + TAKEN_MS), AT_ONCE);
    await Promise.all(due.map((row) => deliver(deps, row, closing.signal)));
    return due.length === AT_ONCE;
  }

  async function run(): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS && !closing.signal.aborted; round += 1) {
      if (!(await step())) return;
    }
  }

  return {
    reconciler: {
      name: 'webhooks',
      everyMs: EVERY_MS,
      run() {
        running = run();
        return running;
      },
    },
    async close() {
      closing.abort();
      await running.catch(() => undefined);
    },
  };
}

async function deliver(deps: WebhookDeps, row: ToSendRow, closing: AbortSignal): Promise<void> {
  const sent = isAllowed(row.url, deps.webhooksTo)
    ? await send(row, closing)
    : {
        ...{ ok: false as const, final: true },
        error: `${new URL(row.url).origin} is not among the addresses of SIGNALBOX_WEBHOOKS_TO`,
      };
  // It was cut off, not refused: another server sends it once it is no longer taken.
  if (!sent.ok && closing.aborted) return;
  const now = deps.clock.now();
  const error = sent.ok ? null : sent.error;
  const over = sent.ok || sent.final || row.attempts >= MAX_ATTEMPTS;
  const delay = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (row.attempts - 1));
  await noteSent(deps.db, row.key, {
    state: sent.ok ? 'succeeded' : over ? 'failed' : 'pending',
    ...{ error, now: new Date(now), nextAt: over ? null : new Date(now + delay) },
  });
  if (!sent.ok && over) deps.log(`the webhook ${row.event.callback} of ${row.workflow}: ${error}`);
}

async function send(row: ToSendRow, closing: AbortSignal): Promise<Sent> {
  try {
    const answer = await fetch(row.url, {
      method: 'POST',
      headers: { 'content-type': 'application/cloudevents+json; charset=utf-8' },
      body: JSON.stringify(toCloudEvent(row.event)),
      // Another address may be one that is not allowed.
      redirect: 'manual',
      signal: AbortSignal.any([closing, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    await answer.body?.cancel();
    if (answer.ok) return { ok: true };
    const final = answer.status < SERVER_ERROR && !PASSING.has(answer.status);
    return { ok: false, error: `it was answered ${answer.status}`, final };
  } catch (error) {
    return { ok: false, error: reasonOf(error), final: false };
  }
}

/** Without the address, which may hold a secret. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'it could not be sent';
  if (error.name === 'TimeoutError') return `no answer came within ${TIMEOUT_MS / 1_000} s`;
  const cause = error.cause as { readonly code?: unknown } | undefined;
  return `it could not be sent: ${typeof cause?.code === 'string' ? cause.code : error.name}`;
}
