/** What in rows of events callbacks may be told of. Pure. */
import type { CallbackEvent, CallbackOutcome } from '../../domain/callback.ts';
import type { RunEvent } from '../../domain/events.ts';
import { type EpochMs, toRfc3339 } from '../../domain/time.ts';
import { SLA_MISSED } from '../deadlines/record.ts';
import {
  CANCELLED,
  FAILED,
  NOT_CHOSEN,
  RETRIED,
  SKIPPED,
  SUCCEEDED,
} from '../dispatch/task-codes.ts';
import type { StoredChanges } from '../events/changes.ts';
import type { RunInfo } from '../runs/run-info.ts';
import type { EventRow } from '../store/callback.ts';

export interface Happened {
  /** Names it, so that it is told once. */
  readonly key: string;
  readonly runId: string;
  /** Index of a task, or its key; −1 for the run itself. */
  readonly task: number | string;
  readonly attempt: number;
  readonly outcome: CallbackOutcome;
  readonly at: EpochMs;
  readonly error: string;
  /** What the event itself tells of its run. */
  readonly told?: Pick<CallbackEvent, 'workflow' | 'logicalDate' | 'parameters'>;
}

const RUN_OUTCOMES: Readonly<Record<string, CallbackOutcome | undefined>> = {
  succeeded: 'succeeded',
  failed: 'failed',
  cancelled: 'cancelled',
  skipped: 'skipped',
  retrying: 'retry',
};
const TASK_OUTCOMES: Readonly<Record<number, CallbackOutcome | undefined>> = {
  [SUCCEEDED]: 'succeeded',
  [FAILED]: 'failed',
  [CANCELLED]: 'cancelled',
  [SKIPPED]: 'skipped',
  [NOT_CHOSEN]: 'skipped',
  [RETRIED]: 'retry',
};

export function happenedIn({ xid, id, kind, events }: EventRow): readonly Happened[] {
  if (events === null) return [];
  const keyOf = (index: number) => `${xid}-${id}-${index}`;
  if (kind === 'run') {
    const all = JSON.parse(events) as readonly Omit<RunEvent, 'id'>[];
    return all.flatMap((event, index) => missedIn(event, keyOf(index)));
  }
  if (kind !== 'change') return [];
  const { runs, changes } = JSON.parse(events) as StoredChanges;
  return changes.flatMap(([run, task, attempt, state, at, , , , error], index): Happened[] => {
    const outcome = typeof state === 'string' ? RUN_OUTCOMES[state] : TASK_OUTCOMES[state];
    const runId = runs[run];
    if (!outcome || runId === undefined) return [];
    return [{ key: keyOf(index), runId, task, attempt, outcome, at, error }];
  });
}

function missedIn(event: Omit<RunEvent, 'id'>, key: string): Happened[] {
  if (event.state !== SLA_MISSED) return [];
  const told = {
    workflow: event.workflow,
    logicalDate: toRfc3339(event.logicalDate),
    parameters: JSON.parse(event.parameters) as Readonly<Record<string, unknown>>,
  };
  const { runId, attempt, at, error } = event;
  const task = event.taskKey === '' ? -1 : event.taskKey;
  return [{ key, runId, task, attempt, outcome: 'deadline', at, error, told }];
}

/** What a callback is told; null where the run is not known. */
export function toEvent(happened: Happened, info: RunInfo | undefined): CallbackEvent | null {
  const { key, runId, task, attempt, outcome, at, error, told } = happened;
  const of = told ?? info;
  if (!of) return null;
  const taskKey = typeof task === 'string' ? task : (info?.version.tasks[task]?.key ?? null);
  if (typeof task === 'number' && task >= 0 && taskKey === null) return null;
  return {
    ...{ key: `${runId}:${key}`, callback: '', outcome, runId, attempt },
    ...{ workflow: of.workflow, logicalDate: of.logicalDate, parameters: of.parameters },
    task: taskKey,
    at: new Date(at).toISOString(),
    error: error === '' ? null : error,
  };
}
