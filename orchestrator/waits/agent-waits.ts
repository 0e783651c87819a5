/** The agents' side of waits: beginning to wait, waiting on, giving a flow back, sending events out of tasks. */
import { SignalboxError } from '../../domain/errors.ts';
import { attemptEndKey } from '../../domain/task-graph.ts';
import type { Clock } from '../../domain/time.ts';
import type {
  EmitRequest,
  EventReceipt,
  SuspendReply,
  SuspendRequest,
  WaitReply,
  WaitRequest,
} from '../../domain/wait.ts';
import { READY, SUSPENDED } from '../dispatch/task-codes.ts';
import type { Hub } from '../events/hub.ts';
import { lookAgain } from '../events/look-again.ts';
import { isToken, isUuid } from '../runs/identifiers.ts';
import type { Db, Tx } from '../store/connection.ts';
import { spillHeld } from '../store/held.ts';
import { holdsTask } from '../store/once.ts';
import {
  endWait,
  findEventFor,
  findWait,
  hasUntoldAnswer,
  insertWait,
  lockEventName,
  lockLiveRun,
  suspendTask,
  type WaitRow,
} from '../store/signal.ts';
import { insertSteps } from '../store/step-log.ts';
import { hasEnded, insertSubflowWaits } from '../store/subflow-wait.ts';
import type { SendEvent } from './send.ts';
import { checkSchemaOf } from './values.ts';

export interface AgentWaitsDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly hub: Hub;
  readonly send: SendEvent;
  /** A task waits for runs that it started. */
  waitsForRuns(): void;
}

export interface AgentWaits {
  wait(request: WaitRequest, signal: AbortSignal): Promise<WaitReply>;
  suspend(request: SuspendRequest): Promise<SuspendReply>;
  emit(request: EmitRequest): Promise<EventReceipt>;
}

const MAX_KEY = 500;
/** Live states of a run that is paused are so much greater. */
const PAUSED = 10;

export function createAgentWaits(deps: AgentWaitsDeps): AgentWaits {
  const { db } = deps;
  return {
    async wait(request, signal) {
      const first = await begin(deps, request);
      if (request.kind === 'input') deps.hub.changed('run', request.runId);
      if (first.state !== 'waiting' || request.waitMs <= 0) return first;
      return waitOn(deps, request, signal);
    },
    async suspend({ runId, taskKey, token, wakeInMs, wakes, runs = [], over }) {
      if (!runs.every(isUuid)) throw new SignalboxError('invalid-request', 'runs are ids');
      if (!isUuid(runId) || !isToken(token)) return { outcome: 'lease-lost' };
      const queue = await db.transaction(async (tx) => {
        await spillHeld(tx, [runId]);
        const run = await lockLiveRun(tx, runId);
        if (run?.cancelling) return null;
        // What was answered meanwhile wakes nobody any more: the flow goes on at once.
        const isReady =
          run !== undefined &&
          ((wakes && (await hasUntoldAnswer(tx, runId))) || (await hasEnded(tx, runs)));
        const state = (isReady ? READY : SUSPENDED) + (run?.paused ? PAUSED : 0);
        const left = await suspendTask(tx, { runId, token }, state, isReady ? 0 : wakeInMs);
        if (left && !isReady) await insertSubflowWaits(tx, { runId, task: left.task }, runs);
        if (left && over) {
          const now = deps.clock.now();
          const key = attemptEndKey(taskKey, over.attempt);
          const times = { startedAt: now, finishedAt: now };
          // The first one stays.
          await insertSteps(tx, [
            { runId, token, key, state: 'succeeded', result: over.at, ...times },
          ]);
        }
        return left?.queue;
      });
      if (queue === null) return { outcome: 'refused' };
      if (queue === undefined) return { outcome: 'lease-lost' };
      // Slots of a pool may be free now, whatever queue is waiting for them.
      deps.hub.ready(['*']);
      deps.hub.changed('run', runId);
      if (runs.length > 0) deps.waitsForRuns();
      return { outcome: 'suspended' };
    },
    async emit({ runId, token, key, name, correlation, body }) {
      if (!(await holdsTask(db, runId, token))) throw new SignalboxError('lease-lost');
      const event = {
        ...{ name, body, idempotencyKey: `${runId}:${key}` },
        ...(correlation === undefined ? {} : { correlation }),
      };
      return deps.send(null, event, `run:${runId}`);
    },
  };
}

/** Stores the wait, unless it is known, and looks whether what it waits for is there. */
async function begin(deps: AgentWaitsDeps, request: WaitRequest): Promise<WaitReply> {
  const { runId, token, key, kind } = request;
  if (key.length === 0 || key.length > MAX_KEY) {
    throw new SignalboxError('invalid-request', `the key of a wait has 1 to ${MAX_KEY} characters`);
  }
  if (kind === 'input') checkSchemaOf(request.schema ?? null);
  const name = kind === 'event' ? (request.name ?? key) : '';
  const correlation = request.correlation ?? '';
  return deps.db.transaction(async (tx) => {
    if (!(await holdsTask(tx, runId, token))) throw new SignalboxError('lease-lost');
    if (kind === 'event') {
      await lockEventName(tx, { name, correlation, runId: null });
      await lockEventName(tx, { name, correlation, runId });
    }
    const known = await findWait(tx, runId, key);
    if (known) return judge(deps, tx, known);
    const now = new Date(deps.clock.now());
    await insertWait(tx, {
      ...{ run_id: runId, key, kind, name, correlation, created_at: now },
      ...{ message: request.message ?? null, schema: request.schema ?? null },
      timeoutMs: request.timeoutMs,
    });
    const wait = await findWait(tx, runId, key);
    if (!wait) throw new Error('a wait was stored and is not there');
    return judge(deps, tx, wait);
  });
}

/** How a wait stands; one whose time is over ends here, so that an answer that comes later is refused. */
async function judge(deps: AgentWaitsDeps, tx: Tx, wait: WaitRow): Promise<WaitReply> {
  if (wait.state !== 'waiting') return { state: wait.state, result: wait.result, leftMs: null };
  const at = new Date(deps.clock.now());
  const of = { runId: wait.run_id, key: wait.key };
  const event = wait.kind === 'event' ? await findEventFor(tx, wait) : undefined;
  if (event) {
    const end = { result: event.body, eventId: event.id, at, by: event.sentBy };
    await endWait(tx, of, { state: 'answered', ...end });
    return { state: 'answered', result: event.body, leftMs: null };
  }
  const leftMs = wait.deadline === null ? null : wait.deadline.getTime() - at.getTime();
  if (leftMs === null || leftMs > 0) return { state: 'waiting', result: null, leftMs };
  const ended = await endWait(tx, of, {
    ...{ state: 'timed-out', result: null, eventId: null, at, by: null },
  });
  if (ended) return { state: 'timed-out', result: null, leftMs: 0 };
  const answered = await findWait(tx, wait.run_id, wait.key);
  return { state: answered?.state ?? 'waiting', result: answered?.result ?? null, leftMs: 0 };
}

/** Waits until the run changes, and looks up the wait now and then besides. */
function waitOn(
  deps: AgentWaitsDeps,
  request: WaitRequest,
  signal: AbortSignal,
): Promise<WaitReply> {
  return lookAgain(deps.hub, request.runId, request.waitMs, signal, async () => {
    const found = await look(deps, request);
    return { found, isOver: found.state !== 'waiting', leftMs: found.leftMs };
  });
}

async function look(deps: AgentWaitsDeps, request: WaitRequest): Promise<WaitReply> {
  const wait = await findWait(deps.db, request.runId, request.key);
  if (!wait) throw new SignalboxError('not-found', 'this wait does not exist');
  const isOver = wait.deadline !== null && wait.deadline.getTime() <= deps.clock.now();
  if (wait.state === 'waiting' && isOver) return begin(deps, request);
  const leftMs = wait.deadline === null ? null : wait.deadline.getTime() - deps.clock.now();
  return { state: wait.state, result: wait.result, leftMs };
}
