/** Registration of deadlines and callbacks, beside the workflows that declare them. */
import type { WorkflowDefinition } from '../../domain/agent-protocol.ts';
import type { DeadlineDefinition } from '../../domain/deadline.ts';
import { type EpochMs, toRfc3339 } from '../../domain/time.ts';
import { type CronSchedule, type Interval, intervalAfter } from '../schedule/cron.ts';
import { zoneOf } from '../schedule/zone.ts';
import { replaceCallbacks } from '../store/callback.ts';
import type { Tx } from '../store/connection.ts';
import { type DeadlineRecord, replaceDeadlines } from '../store/deadline.ts';
import { isExpected, momentOf } from './moment.ts';

/** Sets what these workflows declare; what they declared before and do no longer goes. */
export async function registerHooks(
  tx: Tx,
  definitions: readonly WorkflowDefinition[],
  now: EpochMs,
): Promise<void> {
  await replaceDeadlines(
    tx,
    definitions.map(({ name }) => name),
    definitions.flatMap((definition) => recordsOf(definition, now)),
    new Date(now),
  );
  await replaceCallbacks(
    tx,
    definitions.map(({ name }) => name),
    definitions.flatMap(({ name, callbacks = [] }) =>
      callbacks.length === 0 ? [] : [{ workflow: name, callbacks }],
    ),
  );
}

function recordsOf(
  { name, schedule, deadlines = [], startsPaused = false }: WorkflowDefinition,
  now: EpochMs,
): DeadlineRecord[] {
  // Of one whose schedule nobody turned on yet no run is missed.
  const looked = deadlines.some(isExpected) && !startsPaused;
  const first = looked && schedule ? intervalAfter(schedule, now) : null;
  return deadlines.map((definition, place) => ({
    ...{ workflow: name, place, definition, schedule },
    ...watchOf(definition, schedule, first),
  }));
}

/** @throws Error that says which deadline or callback names what is not there */
export function checkHooks({
  name,
  tasks,
  deadlines = [],
  callbacks = [],
}: WorkflowDefinition): void {
  const keys = new Set(tasks.map(({ key }) => key));
  for (const { task, timezone, name: of } of deadlines) {
    if (task !== undefined && !keys.has(task)) {
      throw new Error(`${name}: ${of} is of the task ${task}, which is not a task of it`);
    }
    // A timezone that is unknown throws.
    if (timezone !== undefined) zoneOf(timezone);
  }
  for (const { task, url } of callbacks) {
    if (task !== undefined && !keys.has(task)) {
      throw new Error(`${name}: a callback is of the task ${task}, which is not a task of it`);
    }
    if (url !== undefined && !URL.canParse(url)) {
      throw new Error(`${name}: the address of a webhook is not a URL`);
    }
  }
}

/** What is looked for next of a schedule. */
export function watchOf(
  definition: DeadlineDefinition,
  schedule: CronSchedule | null,
  interval: Interval | null,
): Pick<DeadlineRecord, 'next_due_at' | 'interval_start' | 'interval_end'> {
  if (!interval || !schedule || schedule.continuous || !isExpected(definition)) {
    return { next_due_at: null, interval_start: null, interval_end: null };
  }
  const { start, end } = interval;
  const base = { scheduledAt: end, logicalDate: start, createdAt: end };
  return {
    next_due_at: toRfc3339(momentOf(definition, base)),
    interval_start: toRfc3339(start),
    interval_end: toRfc3339(end),
  };
}
