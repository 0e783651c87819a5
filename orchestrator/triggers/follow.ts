/**
 * Starts runs after ends of runs and after new versions of assets. It follows the events that those transactions left
 * anyway, so that ending a run costs nothing more. Place in the events, conditions that have come true, and the runs
 * are one transaction; besides, each run has a key of what it was started by. So nothing is missed, and nothing is
 * started twice, whichever server does it.
 */
import type { AssetEvent } from '../../domain/events.ts';
import type { Cause, RunOrigin } from '../../domain/origin.ts';
import { type Clock, toRfc3339 } from '../../domain/time.ts';
import type { StoredChanges } from '../events/changes.ts';
import type { Hub } from '../events/hub.ts';
import { isUuid } from '../runs/identifiers.ts';
import type { AnnounceRuns, CreatedRun, CreateRuns, RunRequest } from '../runs/trigger.ts';
import type { Reconciler } from '../service.ts';
import type { Db, Tx } from '../store/connection.ts';
import { readOrigins } from '../store/run-origin.ts';
import {
  dropPlace,
  type FollowedRow,
  lockPlace,
  readFollowed,
  readMet,
  readSubscribers,
  readUpstreamRuns,
  replaceMet,
  type Subscriber,
  savePlace,
  type UpstreamRun,
} from '../store/workflow-on.ts';
import { type Happening, matchAll, type Wanted } from './match.ts';

export interface FollowDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly hub: Hub;
  readonly createRuns: CreateRuns;
  readonly announceRuns: AnnounceRuns;
  defaultParameters(schema: Readonly<Record<string, unknown>> | null): Record<string, unknown>;
  log(message: string): void;
}

const EVERY_MS = 500;
/** Changes that come close together are one look. */
const GATHER_MS = 50;
const ROWS = 500;
const MAX_ROUNDS = 200;
/** Runs that may start each other in a row. */
const MAX_DEPTH = 50;
const PLACE = /^(\d{1,20}):(\d{1,19})$/;
const TERMINAL = new Set(['succeeded', 'failed', 'cancelled', 'skipped']);

export function createRunTriggers(deps: FollowDeps): {
  reconciler: Reconciler;
  close(): Promise<void>;
} {
  let subscribed = false;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  let closed = false;

  async function follow(): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS && !closed; round += 1) {
      const { created, more, anybody } = await step(deps);
      subscribed = anybody;
      if (created.length > 0) deps.announceRuns(created);
      if (!more) return;
    }
  }

  function run(): Promise<void> {
    const next = running.then(follow);
    running = next.catch(() => undefined);
    return next;
  }

  const unfollow = deps.hub.onChange(({ topic }) => {
    if (!subscribed || closed || timer || (topic !== 'run' && topic !== 'asset')) return;
    timer = setTimeout(() => {
      timer = undefined;
      run().catch((error: Error) => deps.log(`runs after runs wait: ${error.message}`));
    }, GATHER_MS);
    timer.unref();
  });

  return {
    reconciler: { name: 'run-triggers', everyMs: EVERY_MS, run },
    async close() {
      closed = true;
      clearTimeout(timer);
      unfollow();
      await running;
    },
  };
}

interface Followed {
  readonly created: readonly CreatedRun[];
  readonly more: boolean;
  /** Whether anybody subscribes. */
  readonly anybody: boolean;
}

const NOTHING: Followed = { created: [], more: false, anybody: false };

function step(deps: FollowDeps): Promise<Followed> {
  return deps.db.transaction(async (tx) => {
    const place = await lockPlace(tx);
    const [, xid, id] = PLACE.exec(place ?? '') ?? [];
    if (xid === undefined || id === undefined) return NOTHING;
    const subscribers = await readSubscribers(tx);
    if (subscribers.length === 0) await dropPlace(tx);
    const rows = await readFollowed(tx, xid, id, ROWS);
    const last = rows.at(-1);
    if (!last) return { ...NOTHING, anybody: subscribers.length > 0 };
    await savePlace(tx, `${last.xid}:${last.id}`);
    const created = subscribers.length === 0 ? [] : await startWanted(deps, tx, subscribers, rows);
    return { created, more: rows.length === ROWS, anybody: subscribers.length > 0 };
  });
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
  const gathering = subscribers.filter(({ match }) => match === 'all').map((one) => one.workflow);
  const before = gathering.length === 0 ? [] : await readMet(tx, gathering);
  const { wanted, met } = matchAll(subscribers, happenings, before);
  if (gathering.length > 0) await replaceMet(tx, gathering, met, new Date(deps.clock.now()));
  if (wanted.length === 0) return [];
  const depths = await depthsOf(tx, wanted);
  const requests = wanted.flatMap((one) => toRequest(deps, one, runs, depths) ?? []);
  return deps.createRuns(tx, requests);
}

function endsIn(row: FollowedRow): { runId: string; state: string }[] {
  if (row.kind !== 'change' || row.events === null) return [];
  const { runs, changes } = JSON.parse(row.events) as StoredChanges;
  return changes.flatMap(([run, task, , state]) => {
    const runId = runs[run];
    return task < 0 && typeof state === 'string' && TERMINAL.has(state) && runId !== undefined
      ? [{ runId, state }]
      : [];
  });
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
