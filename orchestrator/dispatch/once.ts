/**
 * `ctx.once`: one result under a business key of the workflow's, and one holder at a time. A holder is alive as
 * long as it has its task and its lease. Where one died between the effect and its record, nobody knows whether
 * the effect took place: `repeat` does it again, `stop` never does and asks a human.
 */
import type { OnceReply, OnceRequest } from '../../domain/agent-protocol.ts';
import { SignalboxError } from '../../domain/errors.ts';
import { isToken } from '../runs/identifiers.ts';
import type { RunInfos } from '../runs/run-info.ts';
import type { Db } from '../store/connection.ts';
import {
  finishOnce,
  holdsTask,
  insertOnce,
  lockOnce,
  markOnceUnknown,
  type OnceHolder,
  releaseOnce,
  takeOverOnce,
} from '../store/once.ts';
import type { KnownSession } from './sessions.ts';

/** When who finds the key held should ask again. */
const RETRY_MS = 200;
const MAX_KEY_LENGTH = 10_000;

/** @throws SignalboxError `lease-lost` where the token holds nothing any more, `invalid-request` */
export async function once(
  deps: { readonly db: Db; readonly infos: RunInfos },
  session: KnownSession,
  request: OnceRequest,
): Promise<OnceReply> {
  await deps.infos.load(deps.db, [request.runId]);
  const workflow = deps.infos.get(request.runId)?.workflow;
  if (workflow === undefined || !isToken(request.token)) throw new SignalboxError('lease-lost');
  if (request.key.length > MAX_KEY_LENGTH || request.key.includes('\0')) {
    throw new SignalboxError('invalid-request', `a key has at most ${MAX_KEY_LENGTH} characters`);
  }
  const holder: OnceHolder = {
    workflow,
    key: request.key,
    runId: request.runId,
    token: request.token,
  };
  if (request.op === 'begin') return begin(deps.db, session, holder, request.onUnknown);
  if (request.op === 'finish') {
    // The effect did take place; it is recorded also where the lease is over, unless another took the key.
    if (await finishOnce(deps.db, holder, request.result)) return { outcome: 'recorded' };
    throw new SignalboxError('lease-lost', 'another holds the key of ctx.once');
  }
  await releaseOnce(deps.db, holder);
  return { outcome: 'recorded' };
}

function begin(
  db: Db,
  session: KnownSession,
  holder: OnceHolder,
  onUnknown: 'repeat' | 'stop',
): Promise<OnceReply> {
  return db.transaction(async (tx): Promise<OnceReply> => {
    if (!(await holdsTask(tx, holder.runId, holder.token))) throw new SignalboxError('lease-lost');
    if (await insertOnce(tx, holder, session.id, onUnknown)) return { outcome: 'go' };
    const row = await lockOnce(tx, holder.workflow, holder.key);
    // Let go of just now.
    if (!row) return { outcome: 'held', retryInMs: 1 };
    if (row.state === 'done') return { outcome: 'done', result: row.result };
    if (row.state === 'unknown') return { outcome: 'unknown' };
    if (row.token === holder.token) return { outcome: 'go' };
    if (row.alive) return { outcome: 'held', retryInMs: RETRY_MS };
    if (onUnknown === 'stop' || row.on_unknown === 'stop') {
      await markOnceUnknown(tx, holder.workflow, holder.key);
      return { outcome: 'unknown' };
    }
    await takeOverOnce(tx, holder, session.id, onUnknown);
    return { outcome: 'go' };
  });
}
