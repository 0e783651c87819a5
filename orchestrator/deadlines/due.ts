/**
 * Deadlines of runs whose moment has come. The run's state then decides: it ended in time, or it is late, or the
 * moment depends on something that has not begun, and comes later. Whatever is decided is one transaction that holds
 * the deadline's row, so that several servers record it once, and one that dies leaves it to the next.
 */
import type { DeadlineDefinition } from '../../domain/deadline.ts';
import type { Task } from '../../domain/run.ts';
import { type EpochMs, toRfc3339 } from '../../domain/time.ts';
import type { RunInfo, RunInfos } from '../runs/run-info.ts';
import { readTasks } from '../runs/tasks.ts';
import type { Versions } from '../runs/versions.ts';
import type { Db, Tx } from '../store/connection.ts';
import {
  claimDueDeadlines,
  type DueDeadlineRow,
  endDeadlines,
  moveDeadlines,
} from '../store/deadline.ts';
import { attachRuns, type NewMiss } from '../store/deadline-miss.ts';
import { type RunRow, readRuns } from '../store/run.ts';
import { isRelative } from './moment.ts';
import { expectedKey, recordMisses, runKey, sentence } from './record.ts';
import { isOpen, type Why, whyLate } from './why.ts';

export interface DueDeps {
  readonly db: Db;
  readonly versions: Versions;
  readonly infos: RunInfos;
}

interface Looked {
  readonly row: DueDeadlineRow;
  readonly run: RunRow;
  readonly info: RunInfo;
  readonly deadline: DeadlineDefinition;
  /** Tasks of the run, read when somebody asks. */
  tasks(): Promise<readonly Task[]>;
}

type Decision =
  | { readonly kind: 'over' }
  | { readonly kind: 'later'; readonly at: EpochMs }
  | { readonly kind: 'missed'; readonly dueAt: EpochMs; readonly end: End | null };

interface End {
  readonly at: Date;
  readonly state: string;
}

const AT_ONCE = 100;

/** @returns whether more may be due */
export async function lookAtDue(deps: DueDeps, tx: Tx, now: EpochMs): Promise<boolean> {
  const rows = await claimDueDeadlines(tx, new Date(now), AT_ONCE);
  if (rows.length === 0) return false;
  const over: DueDeadlineRow[] = [];
  const later: { run_id: string; place: number; at: EpochMs }[] = [];
  const missed: NewMiss[] = [];
  for (const [row, looked] of await lookedAt(deps, tx, rows)) {
    const decision: Decision = looked ? await decide(looked, now) : { kind: 'over' };
    if (decision.kind === 'later') {
      later.push({ run_id: row.run_id, place: row.place, at: decision.at });
      continue;
    }
    over.push(row);
    if (looked && decision.kind === 'missed') missed.push(await missOf(tx, looked, decision));
  }
  await endDeadlines(tx, over);
  await moveDeadlines(tx, later);
  const known = await attachRuns(
    tx,
    missed.flatMap((miss) =>
      miss.run_id === null ? [] : [{ key: expectedKey(miss), runId: miss.run_id }],
    ),
  );
  const fresh = missed.filter((miss) => !known.has(expectedKey(miss)));
  await recordMisses(tx, deps.infos, fresh, now);
  return rows.length === AT_ONCE;
}

async function lookedAt(
  deps: DueDeps,
  tx: Tx,
  rows: readonly DueDeadlineRow[],
): Promise<readonly (readonly [DueDeadlineRow, Looked | null])[]> {
  const ids = [...new Set(rows.map((row) => row.run_id))];
  await deps.infos.load(tx, ids);
  const runs = new Map((await readRuns(tx, ids)).map((run) => [run.id, run]));
  const tasks = new Map<string, Promise<readonly Task[]>>();
  return rows.map((row) => {
    const [run, info] = [runs.get(row.run_id), deps.infos.get(row.run_id)];
    const deadline = info?.version.base.deadlines[row.place];
    if (!run || !info || !deadline) return [row, null] as const;
    const read = () => {
      const reading = tasks.get(run.id) ?? readTasks(deps.db, deps.versions, run.id);
      tasks.set(run.id, reading);
      return reading;
    };
    return [row, { row, run, info, deadline, tasks: read }] as const;
  });
}

async function decide(looked: Looked, now: EpochMs): Promise<Decision> {
  const { row, run, deadline } = looked;
  const task = await taskOf(looked);
  if (deadline.task !== undefined && !task) return { kind: 'over' };
  const end = endOf(run, task);
  let dueAt = row.due_at.getTime();
  if (isRelative(deadline)) {
    const { afterMs = 0, from } = deadline;
    const begun = task
      ? from === 'queued'
        ? task.queuedAt
        : task.startedAt
      : toRfc3339(run.started_at);
    if (begun === null) return end ? { kind: 'over' } : { kind: 'later', at: now + afterMs };
    dueAt = Date.parse(begun) + afterMs;
  }
  if (end && end.at.getTime() <= dueAt) return { kind: 'over' };
  return dueAt > now ? { kind: 'later', at: dueAt } : { kind: 'missed', dueAt, end };
}

async function taskOf({ deadline, tasks }: Looked): Promise<Task | null> {
  if (deadline.task === undefined) return null;
  return (await tasks()).find(({ key }) => key === deadline.task) ?? null;
}

function endOf(run: RunRow, task: Task | null): End | null {
  if (task && !isOpen(task) && task.finishedAt !== null) {
    return { at: new Date(task.finishedAt), state: task.state };
  }
  return run.finished_at === null ? null : { at: run.finished_at, state: run.state };
}

async function missOf(
  tx: Tx,
  looked: Looked,
  { dueAt, end }: { readonly dueAt: EpochMs; readonly end: End | null },
): Promise<NewMiss> {
  const { run, info, deadline } = looked;
  const task = deadline.task ?? null;
  const why: Why = end
    ? { reason: 'ended-late', blockers: [] }
    : await whyLate(tx, run, await looked.tasks(), task);
  return {
    key: runKey(run.id, deadline.name, task),
    ...{ workflow: run.workflow, run_id: run.id, task_key: task, name: deadline.name },
    task: task === null ? null : (info.version.indexOf.get(task) ?? null),
    logical_date: toRfc3339(run.logical_date),
    due_at: new Date(dueAt).toISOString(),
    ...why,
    detail: sentence(task ?? run.workflow, deadline, dueAt, why),
    // What has ended is left as it is.
    on_miss: end ? 'record' : deadline.onMiss,
    ended_at: toRfc3339(end?.at ?? null),
    end_state: end?.state ?? null,
  };
}
