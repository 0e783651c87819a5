/** Dispatch put together: lanes, claims, sessions and what wakes them. */
import type { Clock } from '../../domain/time.ts';
import type { AssetTaskEnd } from '../assets/outcome.ts';
import { createHub, type DispatchSignals, type Hub } from '../events/hub.ts';
import { type Admitter, createAdmitter } from '../limits/admitter.ts';
import { createQueueOrder } from '../limits/queue-order.ts';
import { createPromoter, type Promoter } from '../runs/promoter.ts';
import type { RunInfos } from '../runs/run-info.ts';
import { type AnnounceRuns, rootTasks } from '../runs/trigger.ts';
import type { Reconciler } from '../service.ts';
import type { Connection, Tx } from '../store/connection.ts';
import { type Claims, createClaims } from './claims.ts';
import { createHandRuns, type HandRuns } from './handing.ts';
import { createHeartbeats, type Heartbeats } from './heartbeats.ts';
import { createLanes, type Lanes } from './lanes.ts';
import { createLimits, type Limits } from './limits.ts';
import { createLiveRuns } from './live-runs.ts';
import type { Recorded } from './record.ts';
import { createRetries } from './retries.ts';
import { createSessionRetention, createSessions, type Sessions } from './sessions.ts';
import {
  createReaper,
  type TakeBackDeps,
  takeBackUndelivered,
  takeBackUntold,
} from './take-back.ts';
import { createTokens } from './tokens.ts';
import { createWaitingClaims } from './waiting-claims.ts';

export interface DispatchDeps {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly infos: RunInfos;
  readonly leaseMs: number;
  log(message: string): void;
  recordAssetOutcomes(tx: Tx, ends: readonly AssetTaskEnd[]): Promise<readonly string[]>;
  ceilings(): Promise<Readonly<Record<string, number>>>;
}

export interface Dispatch {
  readonly hub: Hub;
  readonly lanes: Lanes;
  readonly claims: Claims;
  readonly heartbeats: Heartbeats;
  readonly sessions: Sessions;
  readonly promoter: Promoter;
  readonly takeBack: TakeBackDeps;
  /** Hands on first tasks of new runs. */
  readonly hand: HandRuns;
  readonly reconcilers: readonly Reconciler[];
  readonly announce: AnnounceRuns;
  /** A queue was paused, or its limit set: takes effect before this resolves. */
  limitsChanged(queue: string): Promise<void>;
  close(): Promise<void>;
}

/** How often claims look into queues with a rate, where time alone makes room. */
const REFILL_LOOK_MS = 100;

function lookForRates(limits: Limits, claims: Claims): NodeJS.Timeout {
  return setInterval(() => {
    const queues = limits.rated();
    if (queues.size > 0) claims.ready(queues);
  }, REFILL_LOOK_MS).unref();
}

export async function createDispatch(deps: DispatchDeps): Promise<Dispatch> {
  const { connection, clock, infos, log, leaseMs } = deps;
  const { hot } = connection;
  const tokens = createTokens();
  const live = createLiveRuns();
  const waiting = createWaitingClaims();
  const limits = await createLimits(connection.db, log);
  const order = createQueueOrder(connection.claims, log);
  const claims = createClaims({
    ...{ claims: connection.claims, db: hot, clock, infos, live, tokens, waiting, log },
    started: (runIds) => tellRuns(hub, runIds),
    undelivered: (sessionId, assignments) => takeBackUntold(takeBack, sessionId, assignments),
  });
  const refilling = lookForRates(limits, claims);
  const heartbeats = createHeartbeats({
    ...{ db: hot, infos, leaseMs, ceilings: deps.ceilings },
    compare: (held) => takeBackUndelivered({ ...takeBack, db: hot }, held, leaseMs),
  });
  const { claims: db } = connection;
  const ready = (queues: ReadonlySet<string>) => hub.ready(queues);
  const admitter = createAdmitter({ db, log, ready });
  const sessions = createSessions(connection.db, clock);
  const signals = signalsTo({ claims, heartbeats, limits, admitter, sessions, log });
  const hub = await createHub(connection, signals, log);
  const retries = createRetries({ db, log, ready });
  const promoter = createPromoter({
    ...{ db: hot, clock, infos, log },
    announce(runs, queues) {
      tellRuns(hub, runs);
      hub.ready(queues);
    },
  });
  const lanes = createLanes(
    {
      ...{ db: hot, clock, infos, tokens, live, slots: waiting },
      isLimited: limits.isLimited,
      yields: order.yields,
      recordAssetOutcomes: deps.recordAssetOutcomes,
      random: Math.random,
    },
    (recorded) => tell(recorded, { hub, promoter, expectRetry: retries.expect }),
  );
  const takeBack: TakeBackDeps = {
    ...{ db: connection.claims, infos, lanes, log },
    changed: (topic, id) => hub.changed(topic, id),
  };
  return {
    ...{ hub, lanes, claims, heartbeats, promoter, takeBack },
    hand: createHandRuns({
      ...{ db: hot, slots: waiting, tokens, infos, live },
      isLimited: limits.isLimited,
    }),
    sessions,
    reconcilers: [
      createReaper(takeBack, leaseMs),
      retries.reconciler,
      promoter.reconciler,
      admitter.reconciler,
      createSessionRetention(connection.db),
    ],
    announce: (created) => announce(created, { hub, infos, promoter }),
    async limitsChanged(queue) {
      await Promise.all([limits.refresh(), order.refresh()]);
      hub.changed('pool', queue);
    },
    close: () =>
      closeAll({ refilling, limits, order, claims, lanes, retries, promoter, admitter, hub }),
  };
}

/** What is heard of here and from other servers, to those whom it concerns. */
function signalsTo(to: {
  readonly claims: Claims;
  readonly heartbeats: Heartbeats;
  readonly limits: Limits;
  readonly admitter: Admitter;
  readonly sessions: Sessions;
  log(message: string): void;
}): DispatchSignals {
  return {
    ready(queues) {
      to.claims.ready(queues);
      to.admitter.nudge();
    },
    cancelling: (sessionIds) => void interrupt(sessionIds, to),
    redefined: (ids) =>
      void to.sessions
        .redefined(ids)
        // What became theirs is ready for long.
        .then(() => to.claims.ready(new Set(['*'])))
        .catch((error: Error) => to.log(error.message)),
    limits: () => void to.limits.refresh().catch((error: Error) => to.log(error.message)),
  };
}

/** Ends what waits, lets what is under way end, then stops listening. */
async function closeAll(parts: {
  readonly refilling: NodeJS.Timeout;
  readonly limits: { close(): void };
  readonly order: { close(): void };
  readonly claims: Claims;
  readonly lanes: Lanes;
  readonly retries: { close(): Promise<void> };
  readonly promoter: Promoter;
  readonly admitter: Admitter;
  readonly hub: Hub;
}): Promise<void> {
  clearInterval(parts.refilling);
  parts.limits.close();
  parts.order.close();
  await parts.claims.close();
  await parts.lanes.drain();
  await parts.retries.close();
  await parts.promoter.close();
  await parts.admitter.close();
  await parts.hub.close();
}

/** Ends the waiting of agents that hold tasks to be cancelled. */
async function interrupt(
  sessionIds: ReadonlySet<string>,
  on: { claims: Claims; heartbeats: Heartbeats; log(message: string): void },
): Promise<void> {
  try {
    const cancels = await on.heartbeats.cancelsOf(on.claims.waitingAmong(sessionIds));
    for (const [sessionId, cancel] of cancels) on.claims.interrupt(sessionId, cancel);
  } catch (error) {
    on.log(`agents hear of a cancellation by their heartbeats: ${String(error)}`);
  }
}

function tellRuns(hub: Hub, runIds: readonly string[]): void {
  for (const runId of runIds) hub.changed('run', runId);
}

/** After the commit of ended attempts. */
function tell(
  recorded: Recorded,
  to: { hub: Hub; promoter: Promoter; expectRetry(inMs: number): void },
): void {
  to.hub.ready(recorded.queues);
  tellRuns(to.hub, recorded.changedRuns);
  for (const key of recorded.changedAssets) to.hub.changed('asset', key);
  for (const workflow of recorded.endedWorkflows) to.promoter.ended(workflow);
  if (recorded.retryInMs !== null) to.expectRetry(recorded.retryInMs);
}

/** After the commit of new runs. */
function announce(
  created: Parameters<AnnounceRuns>[0],
  to: { hub: Hub; infos: RunInfos; promoter: Promoter },
): void {
  const queues = new Set<string>();
  const seen = new Set<string>();
  for (const { run, created: isNew, handed } of created) {
    if (!isNew) continue;
    to.hub.changed('run', run.id);
    if (handed) continue;
    if (run.state === 'scheduled') to.promoter.waits(run.workflow);
    const version = to.infos.get(run.id)?.version;
    if (!version || run.state !== 'queued' || seen.has(version.id)) continue;
    seen.add(version.id);
    for (const index of rootTasks(version)) queues.add(version.tasks[index]?.queue ?? '');
  }
  to.hub.ready(queues);
}
