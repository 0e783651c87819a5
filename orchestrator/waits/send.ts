/**
 * Sending an event. It is stored, so that one that comes before its wait is not lost, and handed to each run that
 * waits for it; a run takes an event once. What waits without an agent is made ready in the same transaction.
 */
import { SignalboxError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/time.ts';
import type { EventReceipt, EventRequest } from '../../domain/wait.ts';
import type { Hub } from '../events/hub.ts';
import { isUuid } from '../runs/identifiers.ts';
import type { Db } from '../store/connection.ts';
import {
  endWait,
  findWaitsFor,
  insertEvent,
  lockEventName,
  lockLiveRun,
  wakeTasks,
} from '../store/signal.ts';

const MAX_TEXT = 500;
const MAX_BODY_CHARACTERS = 1_000_000;

/** @param runId the one run that it is for; null for all that wait for it */
export type SendEvent = (
  runId: string | null,
  event: EventRequest,
  sentBy: string,
) => Promise<EventReceipt>;

export function createSendEvent(deps: {
  readonly db: Db;
  readonly clock: Clock;
  readonly hub: Hub;
}): SendEvent {
  return async (runId, event, sentBy) => {
    const { name, correlation = '', body = null } = check(event);
    const { receipt, queues } = await deps.db.transaction(async (tx) => {
      await lockEventName(tx, { name, correlation, runId });
      if (runId !== null && !(isUuid(runId) && (await lockLiveRun(tx, runId)))) {
        throw new SignalboxError('conflict', `run ${runId.slice(0, 60)} is not under way`);
      }
      const at = new Date(deps.clock.now());
      const idempotencyKey =
        event.idempotencyKey === undefined ? null : `${runId ?? ''}:${event.idempotencyKey}`;
      const { id, created } = await insertEvent(tx, {
        ...{ name, correlation, runId, body, at, sentBy, idempotencyKey },
      });
      const waits = created ? await findWaitsFor(tx, { name, correlation, runId }) : [];
      const woke: string[] = [];
      for (const wait of waits) {
        const isLive = await lockLiveRun(tx, wait.run_id);
        const end = { result: body, eventId: id, at, by: sentBy };
        const of = { runId: wait.run_id, key: wait.key };
        if (isLive && (await endWait(tx, of, { state: 'answered', ...end }))) {
          woke.push(wait.run_id);
        }
      }
      const ready = woke.length > 0 ? await wakeTasks(tx, woke) : [];
      return { receipt: { id, created, woke }, queues: ready };
    });
    for (const woken of receipt.woke) deps.hub.changed('run', woken);
    deps.hub.ready(new Set(queues));
    return receipt;
  };
}

/** @throws SignalboxError `invalid-request` */
function check(event: EventRequest): EventRequest {
  const { name, correlation = '', idempotencyKey = '-' } = event;
  const texts = { name, correlation: correlation || '-', idempotencyKey };
  for (const [field, text] of Object.entries(texts)) {
    if (text.length === 0 || text.length > MAX_TEXT || text.includes('\0')) {
      const message = `has 1 to ${MAX_TEXT} characters`;
      throw new SignalboxError('invalid-request', `${field} ${message}`, [
        { path: `/${field}`, message },
      ]);
    }
  }
  if ((JSON.stringify(event.body ?? null) ?? '').length > MAX_BODY_CHARACTERS) {
    throw new SignalboxError('body-too-large', 'the body of an event has at most 1 MB');
  }
  return event;
}
