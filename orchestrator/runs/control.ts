/**
 * What people do to runs by hand, as the service offers it. Each run is changed in a transaction of its own under its
 * lock; an action on many goes through them in the order of their making, a bounded number a call, and reports those
 * that it had to leave alone.
 */
import { SignalboxError } from '../../domain/errors.ts';
import { RUN_STATES } from '../../domain/run.ts';
import type {
  CancelRequest,
  ClearRequest,
  ControlAction,
  Effect,
  MarkRequest,
  RetryRequest,
  RunSelection,
} from '../../domain/run-control.ts';
import type { Clock } from '../../domain/time.ts';
import { endsOfMark } from '../assets/marked.ts';
import type { AssetTaskEnd } from '../assets/outcome.ts';
import type { Hub } from '../events/hub.ts';
import { askKeyAgain } from '../limits/run-keys.ts';
import type { Actor, RunControlService } from '../service.ts';
import type { Db, Tx } from '../store/connection.ts';
import { readRunActions, selectRuns } from '../store/run-history.ts';
import { readTaskAttempts } from './attempts.ts';
import { type CancelTelling, cancelWithChildren } from './cancel.ts';
import { draftIntent, type Intent, markedTasks, type Wake, writeDraft } from './carry-out.ts';
import { clearIntent, retryIntent } from './clear.ts';
import { type Refusal, type RunPart, toEffect } from './effect.ts';
import { checkRunId, isUuid } from './identifiers.ts';
import { cancelTasksIntent, markIntent } from './mark.ts';
import { pauseRun, resumeRun } from './pause.ts';
import { readRun } from './read.ts';
import { type RerunDeps, rerun } from './rerun.ts';
import { hasRoom } from './room.ts';
import { lockStanding, type Standing } from './standing.ts';

export interface ControlDeps extends RerunDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly hub: Hub;
  /** A run of the workflow ended: another may begin. */
  promote(workflow: string): void;
  /** Runs of the workflow wait for room. */
  waits(workflow: string): void;
  /** Records ends of tasks that make assets. @returns keys of the assets that changed */
  recordAssetOutcomes(tx: Tx, ends: readonly AssetTaskEnd[]): Promise<readonly string[]>;
}

/** Runs that one call changes. */
const MAX_RUNS = 1_000;
/** Runs that are changed at a time. */
const AT_ONCE = 3;

type Plan = (tx: Tx, standing: Standing) => Intent | Promise<Intent>;

export function createRunControl(deps: ControlDeps): RunControlService {
  const one = async (
    action: ControlAction,
    id: string,
    request: { dryRun?: boolean },
    actor: Actor,
    plan: Plan,
  ): Promise<Effect> => {
    const dryRun = request.dryRun ?? false;
    const part = await changeRun(deps, checkRunId(id), plan, { dryRun, actor });
    return toEffect(deps.general, { action, dryRun, parts: part ? [part] : [] });
  };
  const many = async (
    action: ControlAction,
    selection: RunSelection,
    dryRun: boolean,
    each: (runId: string) => Promise<readonly RunPart[]>,
  ): Promise<Effect> => {
    const { ids, nextCursor } = await readSelection(deps.general, selection);
    const { parts, refused } = await inTurn(ids, each);
    return toEffect(deps.general, { action, dryRun, parts, refused, nextCursor });
  };
  const partsOf = async (runId: string, plan: Plan, dryRun: boolean, actor: Actor) => {
    const part = await changeRun(deps, runId, plan, { dryRun, actor });
    return part ? [part] : [];
  };
  const cancelWhole = (runId: string, reason: string, dryRun: boolean, actor: Actor) =>
    cancelWithChildren(deps, runId, { reason, dryRun, actor: actor.name }, cancelTelling(deps));
  const clearing =
    (request: ClearRequest): Plan =>
    (tx, standing) =>
      clearIntent(tx, standing, request);
  return {
    clear: (id, request, actor) => one('clear', id, request, actor, clearing(request)),
    clearMany(selection, request, actor) {
      const dryRun = request.dryRun ?? false;
      const each = (runId: string) => partsOf(runId, clearing(request), dryRun, actor);
      return many('clear', selection, dryRun, each);
    },
    mark: (id, request: MarkRequest, actor) =>
      one('mark', id, request, actor, (_tx, standing) => markIntent(standing, request, actor.name)),
    retry: (id, request: RetryRequest, actor) =>
      one('retry', id, request, actor, (tx, standing) => retryIntent(tx, standing, request)),
    async cancelMany(selection, request: CancelRequest, actor) {
      const { reason = `cancelled by ${actor.name}`, dryRun = false } = request;
      return many('cancel', selection, dryRun, (runId) =>
        cancelWhole(runId, reason, dryRun, actor),
      );
    },
    async cancel(id, request: CancelRequest, actor) {
      const { tasks, reason = `cancelled by ${actor.name}`, dryRun = false } = request;
      if (tasks) {
        const plan: Plan = (_tx, standing) => cancelTasksIntent(standing, { ...request, tasks });
        return one('cancel', id, request, actor, plan);
      }
      const parts = await cancelWhole(checkRunId(id), reason, dryRun, actor);
      return toEffect(deps.general, { action: 'cancel', dryRun, parts });
    },
    pause: (id, { dryRun = false }, actor) => switchRun(deps, id, 'pause', dryRun, actor),
    resume: (id, { dryRun = false }, actor) => switchRun(deps, id, 'resume', dryRun, actor),
    rerun: (id, request) => rerun(deps, checkRunId(id), request),
    attempts: (id, taskKey) => readTaskAttempts(deps, checkRunId(id), taskKey),
    async actions(id) {
      const { id: runId } = await readRun(deps.general, id);
      return readRunActions(deps.general, runId);
    },
  };
}

/** @returns null where nothing of the run changes */
async function changeRun(
  deps: ControlDeps,
  runId: string,
  plan: Plan,
  { dryRun, actor }: { readonly dryRun: boolean; readonly actor: Actor },
): Promise<RunPart | null> {
  const { part, wake, assets } = await deps.db.transaction(async (tx) => {
    const standing = await lockStanding(tx, deps.infos, runId);
    const intent = await plan(tx, standing);
    const keyed = !standing.live && standing.version.concurrency !== null;
    const room = standing.live || (!keyed && (await hasRoom(tx, standing.info.workflow)));
    const drafted = draftIntent(standing, intent, room);
    const found = drafted.changes ? { effect: drafted.effect, version: drafted.version } : null;
    if (dryRun || found === null) return { part: found, wake: null, assets: [] };
    if (keyed && !drafted.ended) await askKeyAgain(tx, standing.info);
    const now = deps.clock.now();
    const woken = await writeDraft(tx, drafted, actor.name, now);
    const ends = await endsOfMark(tx, {
      ...{ info: standing.info, tasks: markedTasks(intent, drafted.version) },
      ...{ by: actor.name, reason: intent.reason, at: now },
    });
    return { part: found, wake: woken, assets: await deps.recordAssetOutcomes(tx, ends) };
  });
  if (wake) tell(deps, wake);
  for (const key of assets) deps.hub.changed('asset', key);
  return part;
}

function cancelTelling({ hub, promote }: ControlDeps): CancelTelling {
  return {
    cancelling: (sessions) => hub.cancelling(sessions),
    ready: (queues) => hub.ready(queues),
    changed: (runId) => hub.changed('run', runId),
    promote,
  };
}

/** After the commit. */
function tell(deps: ControlDeps, wake: Wake): void {
  deps.hub.ready(wake.queues);
  deps.hub.cancelling(wake.sessions);
  deps.hub.changed('run', wake.runId);
  if (wake.ended) deps.promote(wake.workflow);
  if (wake.scheduled) deps.waits(wake.workflow);
}

async function switchRun(
  deps: ControlDeps,
  id: string,
  action: 'pause' | 'resume',
  dryRun: boolean,
  actor: Actor,
): Promise<Effect> {
  const change = action === 'pause' ? pauseRun : resumeRun;
  const { part, queues } = await change(deps, checkRunId(id), { dryRun, actor: actor.name });
  if (part && !dryRun) {
    deps.hub.ready(queues);
    deps.hub.changed('run', part.effect.runId);
    if (part.effect.from === 'scheduled') deps.waits(part.effect.workflow);
  }
  return toEffect(deps.general, { action, dryRun, parts: part ? [part] : [] });
}

/** Ids of the runs that are meant, and where a further call goes on. */
async function readSelection(
  db: Db,
  selection: RunSelection,
): Promise<{ ids: readonly string[]; nextCursor: string | null }> {
  const { cursor, limit = MAX_RUNS, states } = selection;
  if (cursor !== undefined && !isUuid(cursor)) throw new SignalboxError('invalid-cursor');
  for (const state of states ?? []) {
    if (!RUN_STATES.includes(state)) {
      throw new SignalboxError('invalid-request', `states are of ${RUN_STATES.join(', ')}`);
    }
  }
  const most = Math.min(MAX_RUNS, Math.max(1, limit));
  const found = await selectRuns(db, { ...selection, after: cursor ?? null, limit: most + 1 });
  const ids = found.slice(0, most);
  return { ids, nextCursor: found.length > most ? (ids.at(-1) ?? null) : null };
}

/** Goes through runs, a few at a time; what is refused of one hurts no other. */
async function inTurn(
  ids: readonly string[],
  each: (runId: string) => Promise<readonly RunPart[]>,
): Promise<{ parts: readonly RunPart[]; refused: readonly Refusal[] }> {
  const parts: (readonly RunPart[])[] = ids.map(() => []);
  const refused: Refusal[] = [];
  let next = 0;
  const work = async () => {
    for (let at = next++; at < ids.length; at = next++) {
      const runId = ids[at] ?? '';
      try {
        parts[at] = await each(runId);
      } catch (error) {
        if (!(error instanceof SignalboxError)) throw error;
        refused.push({ runId, reason: error.detail ?? error.message });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { parts: parts.flat(), refused };
}
