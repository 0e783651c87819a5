/** The live rows of new runs: they wait for room, or their first tasks are ready, or already in an agent's hands. */
import type { RunError } from '../../domain/run.ts';
import type { EpochMs } from '../../domain/time.ts';
import { mayHold } from '../dispatch/draft.ts';
import type { Handing } from '../dispatch/handing.ts';
import { CANCELLED, LIVE, RUNNING, SKIPPED } from '../dispatch/task-codes.ts';
import { collectChanges } from '../events/changes.ts';
import { keyNewRuns, locksOfKeys } from '../limits/run-keys.ts';
import { byteaText } from '../store/columns.ts';
import type { Tx } from '../store/connection.ts';
import type { HeldEntry } from '../store/held.ts';
import {
  countActiveRuns,
  insertLiveRuns,
  lockActiveRuns,
  type NewLiveRun,
  type NewRun,
} from '../store/run-insert.ts';
import { endRuns, type RunEnd, requireLease } from '../store/run-live.ts';
import { insertLiveTasks, mayHandOn, type NewLiveTask } from '../store/task-live.ts';
import { readyTask, rootTasks } from './trigger.ts';
import type { Version } from './versions.ts';

export interface NewRunDraft extends NewRun {
  readonly version: Version;
}

/** `handed`: all its first tasks are in the hands of agents. `skipped`, `cancelled`: others hold its key. */
export type NewRunState = 'scheduled' | 'queued' | 'handed' | 'skipped' | 'cancelled';

/**
 * Inserts live rows and events.
 * @param handing where waiting claims may be given the first tasks
 * @returns each run's state
 */
export async function makeLive(
  tx: Tx,
  drafts: readonly NewRunDraft[],
  now: EpochMs,
  handing: Handing | undefined,
): Promise<ReadonlyMap<string, NewRunState>> {
  const states = new Map<string, NewRunState>();
  const active = drafts.filter((draft) => draft.state === 'active');
  const keyed = active.filter(({ version }) => version.concurrency !== null);
  const room = await roomOf(tx, active, locksOfKeys(keyed.map(({ version }) => version)));
  const keys = await keyNewRuns(tx, keyed.map(toKeyed));
  const ended: RunEnd[] = [];
  const changes = collectChanges(now);
  const tasks: NewLiveTask[] = [];
  const vectors = new Map<Version, { text: string; bytes: Uint8Array }>();
  const runs: NewLiveRun[] = [];
  for (const draft of drafts) {
    const { id, request, version } = draft;
    if (draft.state !== 'active') {
      changes.run(id, { state: 'succeeded', finishedAt: now });
      continue;
    }
    const left = room.get(request.workflow);
    const common = { runId: id, workflow: request.workflow, versionId: request.versionId };
    const priority = request.priority ?? 0;
    const key = keys.get(id);
    if (key?.kind === 'skipped' || key?.kind === 'cancelled') {
      const { kind: state, error } = key;
      states.set(id, state);
      changes.run(id, { state, finishedAt: now, error });
      ended.push(endOf(draft, state, error));
      continue;
    }
    if ((left !== undefined && left <= 0) || request.hold === true || key?.kind === 'wait') {
      states.set(id, 'scheduled');
      changes.run(id, { state: 'scheduled' });
      const empty = byteaText(new Uint8Array(version.tasks.length));
      runs.push({ ...common, state: 'scheduled', priority, tasks: empty });
      continue;
    }
    if (left !== undefined) room.set(request.workflow, left - 1);
    const vector = vectors.get(version) ?? firstVector(version);
    vectors.set(version, vector);
    changes.run(id, { state: 'queued' });
    const ready = rootTasks(version).map((index) =>
      readyTask(id, version, index, priority, request.parameters),
    );
    const { held, rows } = handOn(handing, draft, ready, vector.bytes, now);
    tasks.push(...rows);
    const started = held !== null;
    if (started) changes.run(id, { state: 'running', startedAt: now });
    states.set(id, rows.some(({ state }) => state !== RUNNING) ? 'queued' : 'handed');
    runs.push({
      ...common,
      ...{ state: started ? 'running' : 'queued', priority, tasks: vector.text },
      ...(held === null ? {} : { startedAt: now, ...held }),
    });
  }
  const sessions = handing?.giving.sessions() ?? [];
  const [xid] = await Promise.all([
    sessions.length > 0 ? requireLease(tx, sessions) : '',
    insertLiveRuns(tx, runs),
    insertLiveTasks(tx, tasks),
    endRuns(tx, ended, now),
    changes.append(tx),
  ]);
  if (handing) handing.xid = xid;
  return states;
}

/** Gives first tasks to claims that wait: those of one session stand in the run's row, all others in rows. */
function handOn(
  handing: Handing | undefined,
  { id, version }: NewRunDraft,
  ready: readonly NewLiveTask[],
  vector: Uint8Array,
  now: EpochMs,
): {
  held: { holder: string; held: ReadonlyMap<number, HeldEntry> } | null;
  rows: readonly NewLiveTask[];
} {
  if (!handing) return { held: null, rows: ready };
  const entries = new Map<number, HeldEntry>();
  const rows: NewLiveTask[] = [];
  let holder: string | null = null;
  for (const task of ready) {
    const { attempt, retriesLeft, lost, queue } = task;
    const mayGo =
      mayHandOn(task) && !handing.isLimited(queue) && mayHold({ version }, task.task, entries);
    const offer = mayGo ? handing.giving.takeWaiting(queue, version, task.task) : undefined;
    if (!offer) {
      rows.push(task);
      continue;
    }
    const { sessionId } = offer;
    const token = handing.nextToken();
    const entry = { task: task.task, attempt, retriesLeft, lost, token, readyAt: now, at: now };
    handing.handed.push({ offer, runId: id, entry });
    holder ??= sessionId;
    if (holder === sessionId) entries.set(task.task, entry);
    else rows.push({ ...task, state: RUNNING, sessionId, token });
  }
  if (holder === null) return { held: null, rows };
  handing.runs.push({
    ...{ runId: id, state: 'running', tasks: vector, startedAt: now, error: null },
    ...{ cancelReason: null, paused: false, expanded: null, lastAttempts: null },
    ...{ holder, held: entries },
  });
  return { held: { holder, held: entries }, rows };
}

function toKeyed({ id, request, version }: NewRunDraft) {
  const { parameters, priority = 0, hold = false } = request;
  return { runId: id, version, parameters, priority, waits: hold };
}

/** It ends before it began. */
function endOf(
  { id, version }: NewRunDraft,
  state: 'skipped' | 'cancelled',
  error: RunError,
): RunEnd {
  const code = state === 'skipped' ? SKIPPED : CANCELLED;
  const tasks = new Uint8Array(version.tasks.length).fill(code);
  return { runId: id, state, startedAt: null, error, result: null, tasks };
}

/** How many more runs may work at once, for the workflows that have a limit. */
async function roomOf(
  tx: Tx,
  drafts: readonly NewRunDraft[],
  locks: readonly string[],
): Promise<Map<string, number>> {
  const limits = new Map<string, number>();
  for (const { request } of drafts) {
    if (request.maxActiveRuns !== null) limits.set(request.workflow, request.maxActiveRuns);
  }
  const names = new Set([...limits.keys(), ...locks]);
  if (names.size === 0) return limits;
  await lockActiveRuns(tx, [...names]);
  for (const [workflow, limit] of limits) {
    limits.set(workflow, Math.max(0, limit - (await countActiveRuns(tx, workflow))));
  }
  return limits;
}

function firstVector(version: Version): { text: string; bytes: Uint8Array } {
  const bytes = new Uint8Array(version.tasks.length);
  for (const index of rootTasks(version)) bytes[index] = LIVE;
  return { text: byteaText(bytes), bytes };
}
