/**
 * Bringing runs into being, for whatever reason: by hand, by schedule, for assets, as a subflow, for a runbook.
 * Many at once cost a few statements; a key that was used before gives the first run back.
 */
import type { RunOrigin } from '../../domain/origin.ts';
import type { RunPartitions } from '../../domain/partition.ts';
import { businessKey, type DataInterval, type Run, type RunTrigger } from '../../domain/run.ts';
import { type Clock, type EpochMs, toRfc3339 } from '../../domain/time.ts';
import { LIVE, READY } from '../dispatch/task-codes.ts';
import { collectChanges } from '../events/changes.ts';
import { byteaText } from '../store/columns.ts';
import type { Tx } from '../store/connection.ts';
import { readRuns, toRun } from '../store/run.ts';
import {
  countActiveRuns,
  findByIdempotencyKey,
  insertLiveRuns,
  insertRuns,
  lockActiveRuns,
  type NewRun,
} from '../store/run-insert.ts';
import { insertOrigins } from '../store/run-origin.ts';
import { insertRunPartitions } from '../store/run-partition.ts';
import { insertLiveTasks, type NewLiveTask } from '../store/task-live.ts';
import { namePartitions } from '../assets/partitions/of-task.ts';
import { createRunIds, traceIdOf, traceparentOf } from './run-id.ts';
import type { RunInfo, RunInfos } from './run-info.ts';
import type { Version, Versions } from './versions.ts';

/** A run to make. Parameters are already validated, with defaults applied. */
export interface RunRequest {
  readonly workflow: string;
  /** Row of `workflow_version` whose graph it runs. */
  readonly versionId: string;
  /** Unfinished runs of the workflow that may work at once; what is beyond waits as `scheduled`. */
  readonly maxActiveRuns: number | null;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly trigger: RunTrigger;
  readonly logicalDate?: EpochMs | null;
  readonly dataInterval?: DataInterval | null;
  readonly priority?: number;
  readonly idempotencyKey?: string | null;
  readonly parentRunId?: string | null;
  readonly retryOf?: string | null;
  readonly traceparent?: string | null;
  /** It waits as `scheduled` whatever room there is; the caller says for what (`run_hold`). */
  readonly hold?: boolean;
  /** Who asked for it, where that was no person and no schedule. */
  readonly origin?: RunOrigin | null;
  /** Partitions that it makes. */
  readonly partitions?: RunPartitions | null;
}

export interface CreatedRun {
  readonly run: Run;
  /** False where the idempotency key had been used: `run` is the first one. */
  readonly created: boolean;
}

/** Makes runs inside of a transaction. Call `announce` once it has committed. */
export type CreateRuns = (
  tx: Tx,
  requests: readonly RunRequest[],
) => Promise<readonly CreatedRun[]>;

/** Wakes agents and listeners for new runs, after the commit. */
export type AnnounceRuns = (created: readonly CreatedRun[]) => void;

/** Makes the function that makes runs. */
export function createRunMaker(deps: {
  readonly clock: Clock;
  readonly versions: Versions;
  readonly infos: RunInfos;
}): CreateRuns {
  const nextId = createRunIds(deps.clock);
  return async (tx, requests) => {
    if (requests.length === 0) return [];
    await deps.versions.load(
      tx,
      requests.map((request) => request.versionId),
    );
    const now = deps.clock.now();
    const { drafts, firstOf } = draftRuns(requests, nextId, deps.versions);
    // In the order of the keys, so that two servers with the same keys wait for each other in one order.
    const ordered = drafts.some((draft) => draft.request.idempotencyKey)
      ? [...drafts].sort(byKey)
      : drafts;
    const inserted = await insertRuns(tx, ordered, now);
    const fresh = drafts.filter((draft) => inserted.has(draft.id));
    await insertOrigins(tx, originsOf(fresh));
    await insertRunPartitions(tx, partitionsOf(fresh));
    const states = await makeLive(tx, fresh, now);
    const byDraft = new Map<Draft, CreatedRun>();
    for (const draft of fresh) {
      deps.infos.add(infoOf(draft));
      const state = draft.state === 'active' ? (states.get(draft.id) ?? 'queued') : 'succeeded';
      byDraft.set(draft, { run: toNewRun(draft, state, now), created: true });
    }
    if (fresh.length < drafts.length) await findFirst(tx, drafts, byDraft);
    return requests.map((_, index) => {
      const draft = firstOf[index];
      const made = draft && byDraft.get(draft);
      if (!made) throw new Error('a run that was neither inserted nor found');
      return draft.place === index ? made : { ...made, created: false };
    });
  };
}

function originsOf(drafts: readonly Draft[]): { runId: string; origin: RunOrigin }[] {
  return drafts.flatMap(({ id, request }) =>
    request.origin ? [{ runId: id, origin: request.origin }] : [],
  );
}

function partitionsOf(drafts: readonly Draft[]): { runId: string; partitions: RunPartitions }[] {
  return drafts.flatMap(({ id, request: { partitions } }) =>
    partitions ? [{ runId: id, partitions }] : [],
  );
}

/** Runs without a date whose keys tell which of them are the same work. */
const KEYED: ReadonlySet<RunTrigger> = new Set<RunTrigger>(['manual', 'sensor', 'workflow']);

interface Draft extends NewRun {
  readonly version: Version;
  /** Index of the request that it was made for first. */
  readonly place: number;
}

/** One draft for each request, but for a key that was used earlier in the batch. */
function draftRuns(requests: readonly RunRequest[], nextId: () => string, versions: Versions) {
  const drafts: Draft[] = [];
  const byKeyText = new Map<string, Draft>();
  const firstOf = requests.map((request, place) => {
    const key = request.idempotencyKey ? `${request.workflow}\n${request.idempotencyKey}` : null;
    const earlier = key === null ? undefined : byKeyText.get(key);
    if (earlier) return earlier;
    const version = versions.get(request.versionId);
    if (!version) throw new Error(`version ${request.versionId} of ${request.workflow} is unknown`);
    const draft: Draft = {
      id: nextId(),
      request,
      version,
      place,
      state: version.tasks.length === 0 ? 'succeeded' : 'active',
      businessKey: businessKey({
        engine: 'signalbox',
        job: request.workflow,
        logicalDate: toRfc3339(request.logicalDate ?? null) ?? request.dataInterval?.start ?? null,
        parameters: request.parameters,
        outputs: namePartitions(request.partitions ?? null),
        idempotencyKey: KEYED.has(request.trigger) ? request.idempotencyKey : undefined,
      }),
    };
    drafts.push(draft);
    if (key !== null) byKeyText.set(key, draft);
    return draft;
  });
  return { drafts, firstOf };
}

function byKey(a: Draft, b: Draft): number {
  const left = `${a.request.workflow}\n${a.request.idempotencyKey ?? ''}`;
  const right = `${b.request.workflow}\n${b.request.idempotencyKey ?? ''}`;
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Inserts live rows and events. @returns each run's state */
async function makeLive(
  tx: Tx,
  drafts: readonly Draft[],
  now: EpochMs,
): Promise<ReadonlyMap<string, 'scheduled' | 'queued'>> {
  const states = new Map<string, 'scheduled' | 'queued'>();
  const active = drafts.filter((draft) => draft.state === 'active');
  const room = await roomOf(tx, active);
  const changes = collectChanges(now);
  for (const draft of drafts) {
    if (draft.state !== 'active') {
      changes.run(draft.id, { state: 'succeeded', finishedAt: now });
      continue;
    }
    const left = room.get(draft.request.workflow);
    const state =
      (left === undefined || left > 0) && draft.request.hold !== true ? 'queued' : 'scheduled';
    if (left !== undefined && state === 'queued') room.set(draft.request.workflow, left - 1);
    states.set(draft.id, state);
    changes.run(draft.id, { state });
  }
  const vectors = new Map<Version, string>();
  const liveRuns = active.map(({ id, request, version }) => {
    const state = states.get(id) ?? 'queued';
    const tasks =
      state === 'scheduled'
        ? byteaText(new Uint8Array(version.tasks.length))
        : (vectors.get(version) ?? byteaText(firstVector(version)));
    if (state === 'queued') vectors.set(version, tasks);
    return {
      runId: id,
      workflow: request.workflow,
      versionId: request.versionId,
      state,
      priority: request.priority ?? 0,
      tasks,
    };
  });
  const queued = active.filter((draft) => states.get(draft.id) === 'queued');
  const liveTasks = queued.flatMap(({ id, version, request }) =>
    rootTasks(version).map((index) => readyTask(id, version, index, request.priority ?? 0)),
  );
  await Promise.all([
    insertLiveRuns(tx, liveRuns),
    insertLiveTasks(tx, liveTasks),
    changes.append(tx),
  ]);
  return states;
}

/** How many more runs may work at once, for the workflows that have a limit. */
async function roomOf(tx: Tx, drafts: readonly Draft[]): Promise<Map<string, number>> {
  const limits = new Map<string, number>();
  for (const { request } of drafts) {
    if (request.maxActiveRuns !== null) limits.set(request.workflow, request.maxActiveRuns);
  }
  if (limits.size === 0) return limits;
  await lockActiveRuns(tx, [...limits.keys()]);
  for (const [workflow, limit] of limits) {
    limits.set(workflow, Math.max(0, limit - (await countActiveRuns(tx, workflow))));
  }
  return limits;
}

/** Runs that others made first under the same keys. */
async function findFirst(
  tx: Tx,
  drafts: readonly Draft[],
  byDraft: Map<Draft, CreatedRun>,
): Promise<void> {
  const missing = drafts.filter((draft) => !byDraft.has(draft));
  const found = await findByIdempotencyKey(
    tx,
    missing.map(({ request }) => ({
      workflow: request.workflow,
      key: request.idempotencyKey ?? '',
    })),
  );
  const idOf = new Map(found.map(({ workflow, key, id }) => [`${workflow}\n${key}`, id]));
  const rows = await readRuns(
    tx,
    found.map(({ id }) => id),
  );
  const byId = new Map(rows.map((row) => [row.id, toRun(row)]));
  for (const draft of missing) {
    const run = byId.get(
      idOf.get(`${draft.request.workflow}\n${draft.request.idempotencyKey}`) ?? '',
    );
    if (run) byDraft.set(draft, { run, created: false });
  }
}

/** Tasks that need nothing before them. */
export function rootTasks(version: Version): readonly number[] {
  return version.roots;
}

function firstVector(version: Version): Uint8Array {
  const vector = new Uint8Array(version.tasks.length);
  for (const index of rootTasks(version)) vector[index] = LIVE;
  return vector;
}

const MAX_PRIORITY = 32_767;

/** The live row of a task's first attempt, ready. */
export function readyTask(
  runId: string,
  version: Version,
  index: number,
  runPriority: number,
): NewLiveTask {
  const task = version.tasks[index];
  if (!task) throw new Error(`task ${index} of ${version.workflow} does not exist`);
  return {
    runId,
    task: index,
    state: READY,
    queue: task.queue,
    priority: Math.max(-MAX_PRIORITY, Math.min(MAX_PRIORITY, runPriority + task.priority)),
    pool: task.pool,
    poolSlots: task.poolSlots,
    attempt: 1,
    retriesLeft: task.retries,
    lost: 0,
    sessionId: null,
    token: null,
    delayMs: 0,
  };
}

function infoOf({ id, request, version }: Draft): RunInfo {
  return {
    runId: id,
    workflow: request.workflow,
    version,
    parameters: request.parameters,
    logicalDate: toRfc3339(request.logicalDate ?? null),
    dataInterval: request.dataInterval ?? null,
    traceparent: traceparentOf(id, request.traceparent ?? null),
    priority: request.priority ?? 0,
    trigger: request.trigger,
    origin: request.origin ?? null,
    partitions: request.partitions ?? null,
  };
}

function toNewRun(draft: Draft, state: Run['state'], now: EpochMs): Run {
  const { id, request } = draft;
  return {
    id,
    workflow: request.workflow,
    engine: 'signalbox',
    state,
    parameters: request.parameters,
    logicalDate: toRfc3339(request.logicalDate ?? null),
    dataInterval: request.dataInterval ?? null,
    trigger: request.trigger,
    priority: request.priority ?? 0,
    idempotencyKey: request.idempotencyKey ?? null,
    businessKey: draft.businessKey,
    parentRunId: request.parentRunId ?? null,
    retryOf: request.retryOf ?? null,
    traceId: traceIdOf(id, request.traceparent ?? null),
    createdAt: new Date(now).toISOString(),
    startedAt: null,
    finishedAt: state === 'succeeded' ? new Date(now).toISOString() : null,
    error: null,
  };
}
