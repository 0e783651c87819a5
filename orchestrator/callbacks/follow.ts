/**
 * Calls callbacks for what has become of runs and tasks, by following events: a workflow without callbacks pays
 * nothing, and one with them nothing at the end of its runs. The runs that run the code and the rows of what is to be
 * sent are written in the transaction that moves the place.
 */
import type { CallbackDefinition, CallbackEvent } from '../../domain/callback.ts';
import type { Cause } from '../../domain/origin.ts';
import { isShared } from '../../domain/shared-workflow.ts';
import type { Clock } from '../../domain/time.ts';
import { createEventFollower, type EventFollower, type FollowerDeps } from '../events/follower.ts';
import type { RunInfos } from '../runs/run-info.ts';
import type { CreatedRun, CreateRuns, RunRequest } from '../runs/trigger.ts';
import {
  CALLBACK_FOLLOWER,
  hasCallbacks,
  insertCallbacks,
  type NewCallback,
  readCallbackOwners,
  readEventRows,
  runsWithCallbacks,
} from '../store/callback.ts';
import type { Tx } from '../store/connection.ts';
import { readRunnable } from '../store/run-workflow.ts';
import { type Happened, happenedIn, toEvent } from './happened.ts';
import { heldIn } from './held.ts';
import { plainEvent } from './plain-event.ts';

export interface FollowDeps extends FollowerDeps {
  readonly clock: Clock;
  readonly infos: RunInfos;
  readonly createRuns: CreateRuns;
}

const ROWS = 200;
const SUFFIX = ':callbacks';

export function createCallbackFollower(deps: FollowDeps): EventFollower {
  return createEventFollower(deps, {
    name: 'callbacks',
    place: CALLBACK_FOLLOWER,
    table: 'workflow_callback',
    topics: ['run'],
    waiting: 'callbacks',
    rows: ROWS,
    wanted: async (tx) => ((await hasCallbacks(tx)) ? true : null),
    read: readEventRows,
    act: (tx, _wanted, rows) =>
      callAll(deps, tx, { happened: rows.flatMap(happenedIn), held: rows.flatMap(heldIn) }),
  });
}

interface Call {
  readonly callback: CallbackDefinition;
  /** Workflow that declares it, by its stored name. */
  readonly owner: string;
  /** As it is told: by plain names. */
  readonly event: CallbackEvent;
}

async function callAll(
  deps: FollowDeps,
  tx: Tx,
  of: { readonly happened: readonly Happened[]; readonly held: readonly CallbackEvent[] },
): Promise<readonly CreatedRun[]> {
  const events = [...(await eventsOfRuns(deps, tx, of.happened)), ...of.held];
  if (events.length === 0) return [];
  const owners = await readCallbackOwners(tx, [...new Set(events.map((event) => event.workflow))]);
  const byWorkflow = new Map(owners.map(({ workflow, callbacks }) => [workflow, callbacks]));
  const calls = events.flatMap((event): Call[] => {
    const base = event.task?.replace(/\[\d+\]$/, '') ?? null;
    return (byWorkflow.get(event.workflow) ?? []).flatMap((callback) =>
      callback.on === event.outcome &&
      (callback.task === undefined ? event.task === null : callback.task === base)
        ? [{ callback, owner: event.workflow, event: told(event, callback.name) }]
        : [],
    );
  });
  if (calls.length === 0) return [];
  const { created, rows } = await startCode(deps, tx, calls);
  await insertCallbacks(tx, rows, new Date(deps.clock.now()));
  return created;
}

async function eventsOfRuns(
  deps: FollowDeps,
  tx: Tx,
  happened: readonly Happened[],
): Promise<readonly CallbackEvent[]> {
  if (happened.length === 0) return [];
  const ids = happened.flatMap(({ runId, told }) => (told ? [] : [runId]));
  const found = await runsWithCallbacks(tx, [...new Set(ids)]);
  const own = found.map(([id]) => id);
  const named = happened.flatMap(({ told }) => told?.workflow ?? []);
  const workflows = new Set([...found.map(([, workflow]) => workflow), ...named]);
  if (workflows.size === 0) return [];
  await deps.infos.load(tx, own);
  await deps.infos.loadTasks(tx, tasksOf(happened, new Set(own)));
  return happened.flatMap((one) => ofOwner(toEvent(one, deps.infos.get(one.runId))));
}

/** Where a run makes several assets, what becomes of one is told as that asset's own. */
function ofOwner(event: CallbackEvent | null): readonly CallbackEvent[] {
  if (event === null) return [];
  const { workflow, task } = event;
  return [task !== null && isShared(workflow) ? { ...event, workflow: task } : event];
}

/** Instances of mapped tasks may be newer than what is known of the run. */
function tasksOf(
  happened: readonly Happened[],
  own: ReadonlySet<string>,
): { runId: string; task: number }[] {
  return happened.flatMap(({ runId, task }) =>
    typeof task === 'number' && task >= 0 && own.has(runId) ? [{ runId, task }] : [],
  );
}

function told(event: CallbackEvent, callback: string): CallbackEvent {
  return plainEvent({ ...event, key: `${event.key}:${callback}`, callback });
}

/** Starts the runs that run code. What cannot be started is recorded as failed. */
async function startCode(
  deps: FollowDeps,
  tx: Tx,
  calls: readonly Call[],
): Promise<{ created: readonly CreatedRun[]; rows: readonly NewCallback[] }> {
  const ofCode = calls.filter(({ callback }) => callback.url === undefined);
  const names = ofCode.map(({ owner }) => `${owner}${SUFFIX}`);
  const runnable = names.length === 0 ? new Map() : await readRunnable(tx, names);
  const wanted = ofCode.flatMap(({ callback, owner, event }): [string, RunRequest][] => {
    const workflow = runnable.get(`${owner}${SUFFIX}`);
    if (!workflow) return [];
    const request: RunRequest = {
      ...{ workflow: workflow.name, versionId: workflow.versionId, maxActiveRuns: null },
      parameters: { callback: callback.name, event },
      trigger: 'workflow',
      idempotencyKey: event.key,
      origin: { kind: 'on', causes: [causeOf(owner, event)], depth: 1 },
    };
    return [[event.key, request]];
  });
  const created = await deps.createRuns(
    tx,
    wanted.map(([, request]) => request),
  );
  const runOf = new Map(wanted.map(([key], index) => [key, created[index]?.run.id ?? null]));
  const rows = calls.map(({ callback, owner, event }): NewCallback => {
    const runId = runOf.get(event.key) ?? null;
    const lost = callback.url === undefined && runId === null;
    return {
      ...{ key: event.key, workflow: owner, run_id: event.runId },
      ...{ callback: callback.name, event, callback_run_id: runId, url: callback.url ?? null },
      state: lost ? 'failed' : 'pending',
      error: lost ? `no agent has registered the code of ${event.workflow}'s callbacks` : null,
    };
  });
  return { created, rows };
}

function causeOf(owner: string, { held, runId, at, outcome }: CallbackEvent): Cause {
  return held
    ? { kind: 'asset', asset: owner, runId: held.runId, partition: held.partition, at }
    : { kind: 'run', runId, workflow: owner, state: outcome };
}
