/**
 * Events of runs that never came to be, for who looks for them in ClickHouse. There is no run that they are of: id and
 * business key are their own, so that nobody takes them for a run that goes on, or for a second one of a date that
 * somebody makes up for later.
 */
import type { RunEvent } from '../../domain/events.ts';
import type { EpochMs } from '../../domain/time.ts';
import { appendRunEvents } from '../events/append.ts';
import type { Tx } from '../store/connection.ts';
import type { ExpectedRecord } from '../store/expected-run.ts';

/** Appends an event for each that was missed or dropped; its state is the outcome, its error the reason. */
export async function appendMissed(
  tx: Tx,
  records: readonly ExpectedRecord[],
  now: EpochMs,
): Promise<void> {
  const gone = records.filter(({ outcome }) => outcome === 'missed' || outcome === 'dropped');
  await appendRunEvents(
    tx,
    gone.map((record) => toEvent(record, now)),
    now,
  );
}

function toEvent(
  { workflow, logicalDate, dueAt, outcome, reason, since }: ExpectedRecord,
  now: EpochMs,
): Omit<RunEvent, 'id'> {
  const id = `${outcome}:${workflow}:${new Date(logicalDate).toISOString()}`;
  const more = since === null ? '' : `, and all since ${new Date(since).toISOString()}`;
  return {
    ...{ at: now, engine: 'signalbox', runId: id, workflow, taskKey: '', attempt: 0 },
    ...{ state: outcome, businessKey: id, logicalDate, parameters: '{}', trigger: 'schedule' },
    ...{ parentRunId: '', retryOf: '', agent: '', traceId: '', startedAt: null, finishedAt: null },
    error: `${reason ?? outcome}: due at ${new Date(dueAt).toISOString()}${more}`,
  };
}
