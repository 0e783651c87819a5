/**
 * Bringing runs into being, for whatever reason: by hand, by schedule, for assets, as a subflow, for a runbook.
 * Many at once cost a few statements; a key that was used before gives the first run back.
 */
import type { RunOrigin } from '../../domain/origin.ts';
import type { RunPartitions } from '../../domain/partition.ts';
import {
  businessKey,
  type DataInterval,
  isTerminalRun,
  type Run,
  type RunTrigger,
} from '../../domain/run.ts';
import { type Clock, type EpochMs, toRfc3339 } from '../../domain/time.ts';
import { namePartitions } from '../assets/partitions/of-task.ts';
import { newDeadlines } from '../deadlines/new.ts';
import type { Handing } from '../dispatch/handing.ts';
import { READY, WAITS_FOR_PAST } from '../dispatch/task-codes.ts';
import { limitsOf } from '../limits/gates.ts';
import type { Tx } from '../store/connection.ts';
import { insertDeadlines } from '../store/deadline.ts';
import { readRuns, toRun } from '../store/run.ts';
import { findByIdempotencyKey, insertRuns } from '../store/run-insert.ts';
import { insertOrigins } from '../store/run-origin.ts';
import { insertRunPartitions } from '../store/run-partition.ts';
import type { NewLiveTask } from '../store/task-live.ts';
import { makeInParts } from './in-parts.ts';
import { makeLive, type NewRunDraft } from './make-live.ts';
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
  /** Whether its first tasks are in the hands of agents already: nobody has to be woken. */
  readonly handed?: boolean;
}

/**
 * Makes runs inside of a transaction. Call `announce` once it has committed.
 * @param handing gives first tasks to claims that wait; the caller tells it how the transaction ended
 */
export type CreateRuns = (
  tx: Tx,
  requests: readonly RunRequest[],
  handing?: Handing,
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
  return async (tx, requests, handing) => {
    if (requests.length === 0) return [];
    await deps.versions.load(
      tx,
      requests.map((request) => request.versionId),
    );
    const now = deps.clock.now();
    return makeInParts(requests, deps.versions, (part) => {
      const drafted = draftRuns(part, nextId, deps.versions);
      return make(tx, drafted, { now, handing, infos: deps.infos });
    });
  };
}

async function make(
  tx: Tx,
  { drafts, firstOf }: ReturnType<typeof draftRuns>,
  { now, handing, infos }: { now: EpochMs; handing: Handing | undefined; infos: RunInfos },
): Promise<readonly CreatedRun[]> {
  const { fresh, states } = await store(tx, drafts, now, handing);
  const byDraft = new Map<Draft, CreatedRun>();
  for (const draft of fresh) {
    infos.add(infoOf(draft));
    const made = draft.state === 'active' ? (states.get(draft.id) ?? 'queued') : 'succeeded';
    const state = made === 'handed' ? 'queued' : made;
    byDraft.set(draft, {
      run: toNewRun(draft, state, now),
      ...{ created: true, handed: made === 'handed' },
    });
  }
  if (fresh.length < drafts.length) await findFirst(tx, drafts, byDraft);
  return firstOf.map((draft, index) => {
    const made = byDraft.get(draft);
    if (!made) throw new Error('a run that was neither inserted nor found');
    return draft.place === index ? made : { ...made, created: false };
  });
}

/** Without keys all of them are new, and nothing has to wait for the answer that says so. */
async function store(tx: Tx, drafts: readonly Draft[], now: EpochMs, handing: Handing | undefined) {
  const rest = async (fresh: readonly Draft[]) => {
    const [states] = await Promise.all([
      makeLive(tx, fresh, now, handing),
      insertOrigins(tx, originsOf(fresh)),
      insertRunPartitions(tx, partitionsOf(fresh)),
      insertDeadlines(tx, newDeadlines(fresh, now)),
    ]);
    return { fresh, states };
  };
  if (!drafts.some((draft) => draft.request.idempotencyKey)) {
    const [, stored] = await Promise.all([insertRuns(tx, drafts, now), rest(drafts)]);
    return stored;
  }
  // In the order of the keys, so that two servers with the same keys wait for each other in one order.
  const inserted = await insertRuns(tx, [...drafts].sort(byKey), now);
  return rest(drafts.filter((draft) => inserted.has(draft.id)));
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

interface Draft extends NewRunDraft {
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

const MAX_PRIORITY = 32_767;

/** The live row of a task's first attempt, ready. */
export function readyTask(
  runId: string,
  version: Version,
  index: number,
  runPriority: number,
  parameters: Readonly<Record<string, unknown>>,
): NewLiveTask {
  const task = version.tasks[index];
  if (!task) throw new Error(`task ${index} of ${version.workflow} does not exist`);
  const limits = limitsOf(task, { runId, workflow: version.workflow, parameters });
  return {
    runId,
    task: index,
    state: task.dependsOnPast ? WAITS_FOR_PAST : READY,
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
    ...(limits === undefined ? {} : { limits }),
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
    finishedAt: isTerminalRun(state) ? new Date(now).toISOString() : null,
    error: null,
  };
}
