/** Recording what was late: its row, and the event that tells of it, once. */
import type { DeadlineDefinition, LateReason } from '../../domain/deadline.ts';
import type { RunEvent } from '../../domain/events.ts';
import { type EpochMs, formatDuration } from '../../domain/time.ts';
import { appendRunEvents } from '../events/append.ts';
import { traceIdOf } from '../runs/run-id.ts';
import type { RunInfos } from '../runs/run-info.ts';
import type { Tx } from '../store/connection.ts';
import { insertMisses, type NewMiss } from '../store/deadline-miss.ts';
import { readRuns } from '../store/run.ts';
import type { Why } from './why.ts';

/** State of the event of a missed deadline. */
export const SLA_MISSED = 'sla-missed';

export function runKey(runId: string, name: string, task: string | null): string {
  return `run:${runId}\n${name}\n${task ?? ''}`;
}

/** Key of a date that had no run in time. */
export function expectedKey(of: {
  readonly workflow: string;
  readonly logical_date: string | null;
  readonly name: string;
  readonly task_key: string | null;
}): string {
  return `date:${of.workflow}\n${of.logical_date ?? ''}\n${of.name}\n${of.task_key ?? ''}`;
}

/** Records misses with their events. What was recorded before is left alone. */
export async function recordMisses(
  tx: Tx,
  infos: RunInfos,
  misses: readonly NewMiss[],
  now: EpochMs,
): Promise<void> {
  const fresh = await insertMisses(tx, misses, now);
  const told = misses.filter(({ key }) => fresh.has(key));
  if (told.length === 0) return;
  const ids = told.flatMap(({ run_id }) => run_id ?? []);
  const runs = new Map((await readRuns(tx, ids)).map((run) => [run.id, run]));
  const events = told.map((miss): Omit<RunEvent, 'id'> => {
    const run = miss.run_id === null ? undefined : runs.get(miss.run_id);
    const info = miss.run_id === null ? undefined : infos.get(miss.run_id);
    // There is no run that it is of: a name of its own, so that nobody takes it for one.
    const name = `${SLA_MISSED}:${miss.workflow}:${miss.logical_date ?? miss.due_at}`;
    return {
      // The run has ended since: told as of now, it would seem to go on.
      at: miss.ended_at === null ? now : Date.parse(miss.due_at),
      ...{ engine: 'signalbox', workflow: miss.workflow, taskKey: miss.task_key ?? '' },
      ...{ runId: miss.run_id ?? name, attempt: 0, state: SLA_MISSED },
      businessKey: run?.business_key ?? name,
      logicalDate: miss.logical_date === null ? null : Date.parse(miss.logical_date),
      parameters: JSON.stringify(info?.parameters ?? {}),
      trigger: run?.trigger ?? 'schedule',
      ...{ parentRunId: run?.parent_run_id ?? '', retryOf: run?.retry_of ?? '', agent: '' },
      traceId: run ? traceIdOf(run.id, run.traceparent) : '',
      error: `${miss.reason}: ${miss.detail}`,
      startedAt: run?.started_at?.getTime() ?? null,
      finishedAt: null,
    };
  });
  await appendRunEvents(tx, events, now);
}

const STARTS = {
  scheduled: 'it was due',
  queued: 'it was queued',
  started: 'it started',
  'logical-date': 'its logical date',
} as const;

const REASONS: Readonly<Record<LateReason, string>> = {
  'scheduler-down': 'no run came: no scheduler had looked',
  'workflow-paused': 'no run came: the workflow is paused',
  'passed-over': 'no run came: the date was passed over',
  paused: 'the run is paused',
  'max-active-runs': 'the run waits for others of its workflow to end',
  'depends-on-past': 'it waits for the run of the date before',
  'concurrency-key': 'it waits for a concurrency key that others hold',
  'run-limit': 'it is at its limit of tasks at a time in one run',
  'task-limit': 'it is at its limit of tasks at a time',
  'workflow-limit': 'its workflow is at its limit of tasks at a time',
  pool: 'it waits for slots of a pool',
  'queue-paused': 'its queue is paused',
  'queue-limit': 'its queue is at its limit',
  'queue-rate': 'its queue is at its rate',
  'no-agent': 'no agent serves its queue',
  'no-agent-with-labels': 'no agent has the labels that it asks for',
  'no-definition': 'no agent of its queue defines it',
  'no-slot': 'all agents of its queue are busy',
  upstream: 'it waits for what comes before it',
  retrying: 'it waits for its next attempt',
  waiting: 'it waits for a time, an event or a person',
  running: 'it still runs',
  'ended-late': 'it ended later',
};

/** What happened, for people: `load had to end by … (sla: 2h after it was due); it waits for slots of a pool: etl`. */
export function sentence(
  what: string,
  { name, afterMs, from = 'scheduled', at, timezone }: DeadlineDefinition,
  dueAt: EpochMs,
  { reason, blockers }: Why,
): string {
  const rule =
    at === undefined
      ? `${formatDuration(afterMs ?? 0)} after ${STARTS[from]}`
      : `at ${at} in ${timezone ?? 'UTC'}`;
  const [first] = blockers;
  const by = first ? `: ${first.name}` : '';
  const moment = new Date(dueAt).toISOString();
  return `${what} had to end by ${moment} (${name}: ${rule}); ${REASONS[reason]}${by}`;
}
