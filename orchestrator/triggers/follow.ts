/**
 * Starts runs after ends of runs and after new versions of assets, by following events. Conditions that have come true
 * and the runs are written in the transaction that moves the place; besides, each run has a key of what it was started
 * by.
 */
import type { AssetEvent } from '../../domain/events.ts';
import type { Cause, RunOrigin } from '../../domain/origin.ts';
import { type Clock, toRfc3339 } from '../../domain/time.ts';
import { createEventFollower, type EventFollower, type FollowerDeps } from '../events/follower.ts';
import { type RunEnd, runEndsIn } from '../events/run-ends.ts';
import { isUuid } from '../runs/identifiers.ts';
import type { CreatedRun, CreateRuns, RunRequest } from '../runs/trigger.ts';
import type { Tx } from '../store/connection.ts';
import { readOrigins } from '../store/run-origin.ts';
import {
  type FollowedRow,
  readFollowed,
  readMet,
  readSubscribers,
  readUpstreamRuns,
  replaceMet,
  type Subscriber,
  TRIGGER_FOLLOWER,
  takeQueued,
  type UpstreamRun,
} from '../store/workflow-on.ts';
import { type Happening, matchAll, type Wanted } from './match.ts';
import { keepForLater } from './paused.ts';

export interface FollowDeps extends FollowerDeps {
  readonly clock: Clock;
  readonly createRuns: CreateRuns;
  defaultParameters(schema: Readonly<Record<string, unknown>> | null): Record<string, unknown>;
}

const ROWS = 500;
const QUEUED_AT_ONCE = 100;
/** Runs that may start each other in a row. */
const MAX_DEPTH = 50;

export function createRunTriggers(deps: FollowDeps): EventFollower {
  const follower = createEventFollower(deps, {
    name: 'run-triggers',
    place: TRIGGER_FOLLOWER,
    table: 'workflow_on',
    topics: ['run', 'asset'],
    waiting: 'runs after runs',
    rows: ROWS,
    async wanted(tx) {
      const subscribers = await readSubscribers(tx);
      return subscribers.length === 0 ? null : subscribers;
    },
    read: readFollowed,
    act: (tx, subscribers, rows) => startWanted(deps, tx, subscribers, rows),
  });
  return {
    ...follower,
    reconciler: {
      ...follower.reconciler,
      async run() {
        await follower.reconciler.run();
        await startQueued(deps);
      },
    },
  };
}

/** Starts what waited for the end of a pause. */
async function startQueued(deps: FollowDeps): Promise<void> {
  for (let taken = QUEUED_AT_ONCE; taken === QUEUED_AT_ONCE; ) {
    const created = await deps.db.transaction(async (tx) => {
      const queued = await takeQueued(tx, QUEUED_AT_ONCE);
      taken = queued.length;
      const wanted = queued.map(({ key, causes, ...subscriber }) => ({ key, causes, subscriber }));
      return startRuns(deps, tx, wanted);
    });
    if (created.length > 0) deps.announceRuns(created);
  }
}

async function startWanted(
  deps: FollowDeps,
  tx: Tx,
  subscribers: readonly Subscriber[],
  rows: readonly FollowedRow[],
): Promise<readonly CreatedRun[]> {
  const ends = rows.flatMap(endsIn);
  const upstream = subscribers.flatMap(({ conditions }) =>
    conditions.flatMap((one) => (one.kind === 'run' ? [one.workflow] : [])),
  );
  const found =
    ends.length === 0 || upstream.length === 0
      ? []
      : await readUpstreamRuns(tx, [...new Set(ends.map(({ runId }) => runId))], upstream);
  const runs = new Map(found.map((run) => [run.id, run]));
  const happenings = rows.flatMap((row) => happeningsIn(row, runs));
  if (happenings.length === 0) return [];
  const isSkipping = (one: Subscriber) => one.paused_at !== null && one.whilePaused === 'skip';
  const listening = subscribers.filter((one) => !isSkipping(one));
  const gathering = listening.filter(({ match }) => match === 'all').map((one) => one.workflow);
  const before = gathering.length === 0 ? [] : await readMet(tx, gathering);
  const { wanted, met } = matchAll(listening, happenings, before);
  const now = new Date(deps.clock.now());
  if (gathering.length > 0) await replaceMet(tx, gathering, met, now);
  const later = wanted.filter(({ subscriber }) => subscriber.paused_at !== null);
  const skipping = subscribers.filter(isSkipping);
  if (later.length > 0 || skipping.length > 0) {
    await keepForLater(tx, { wanted: later, skipping, happenings }, now);
  }
  return startRuns(
    deps,
    tx,
    wanted.filter(({ subscriber }) => subscriber.paused_at === null),
    runs,
  );
}

/** @param known runs before them that were read already */
async function startRuns(
  deps: FollowDeps,
  tx: Tx,
  wanted: readonly Wanted[],
  known: ReadonlyMap<string, UpstreamRun> = new Map(),
): Promise<readonly CreatedRun[]> {
  if (wanted.length === 0) return [];
  const causes = wanted.flatMap((one) => one.causes);
  const ends = causes.flatMap((cause) =>
    cause.kind === 'run' && !known.has(cause.runId) ? [cause] : [],
  );
  const found =
    ends.length === 0
      ? []
      : await readUpstreamRuns(
          tx,
          [...new Set(ends.map(({ runId }) => runId))],
          [...new Set(ends.map(({ workflow }) => workflow))],
        );
  const runs = new Map([...known, ...found.map((run) => [run.id, run] as const)]);
  const depths = await depthsOf(tx, wanted);
  const requests = wanted.flatMap((one) => toRequest(deps, one, runs, depths) ?? []);
  return deps.createRuns(tx, requests);
}

function endsIn({ kind, events }: FollowedRow): readonly RunEnd[] {
  return kind === 'change' && events !== null ? runEndsIn(events) : [];
}

function happeningsIn(
  row: FollowedRow,
  runs: ReadonlyMap<string, UpstreamRun>,
): readonly Happening[] {
  if (row.kind === 'change') {
    return endsIn(row).flatMap(({ runId, state }): Happening[] => {
      const run = runs.get(runId);
      if (!run) return [];
      const cause: Cause = { kind: 'run', runId, workflow: run.workflow, state };
      return [{ cause, key: `run:${runId}` }];
    });
  }
  if (row.events === null) return [];
  const events = JSON.parse(row.events) as Omit<AssetEvent, 'id'>[];
  return events.flatMap((event, index): Happening[] => {
    if (event.type !== 'materialized' && event.type !== 'observed') return [];
    const cause: Cause = {
      kind: 'asset',
      asset: event.assetKey,
      runId: isUuid(event.runId) ? event.runId : null,
      partition: event.partition === '' ? null : event.partition,
      at: toRfc3339(event.at) ?? '',
    };
    return [{ cause, key: `asset:${row.xid}:${row.id}:${index}` }];
  });
}

/** How many runs before each of these started each other. */
async function depthsOf(tx: Tx, wanted: readonly Wanted[]): Promise<ReadonlyMap<string, number>> {
  const runIds = wanted.flatMap(({ causes }) => causes.flatMap(({ runId }) => runId ?? []));
  const origins = await readOrigins(tx, [...new Set(runIds)]);
  return new Map(
    [...origins].map(([runId, origin]) => [runId, origin.kind === 'on' ? origin.depth : 0]),
  );
}

function toRequest(
  deps: FollowDeps,
  { subscriber, causes, key }: Wanted,
  runs: ReadonlyMap<string, UpstreamRun>,
  depths: ReadonlyMap<string, number>,
): RunRequest | null {
  const depth = 1 + Math.max(0, ...causes.map(({ runId }) => depths.get(runId ?? '') ?? 0));
  if (depth > MAX_DEPTH) {
    deps.log(
      `${subscriber.workflow} is not started: ${MAX_DEPTH} runs started each other in a row`,
    );
    return null;
  }
  const origin: RunOrigin = { kind: 'on', causes, depth };
  return {
    workflow: subscriber.workflow,
    versionId: subscriber.version_id,
    maxActiveRuns: subscriber.max_active_runs,
    parameters: deps.defaultParameters(subscriber.parameters),
    trigger: causes.every(({ kind }) => kind === 'asset') ? 'asset' : 'workflow',
    ...dateOf(causes, runs),
    idempotencyKey: key,
    origin,
  };
}

/** The date of the runs before it, where they agree: what comes after them is for the same date. */
function dateOf(
  causes: readonly Cause[],
  runs: ReadonlyMap<string, UpstreamRun>,
): Pick<RunRequest, 'logicalDate' | 'dataInterval'> {
  const before = causes.flatMap((cause) =>
    cause.kind === 'run' ? (runs.get(cause.runId) ?? []) : [],
  );
  const [first] = before;
  const date = first?.logical_date ?? null;
  if (!first || date === null || before.length < causes.length) return {};
  if (before.some((run) => run.logical_date?.getTime() !== date.getTime())) return {};
  const { interval_start: start, interval_end: end } = first;
  return {
    logicalDate: date.getTime(),
    dataInterval: start && end ? { start: start.toISOString(), end: end.toISOString() } : null,
  };
}
