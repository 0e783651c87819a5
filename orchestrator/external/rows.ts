/** Between rows of `run` and folded runs of other engines. */
import type { RunEvent } from '../../domain/events.ts';
import { toRfc3339 } from '../../domain/time.ts';
import type { ExternalRunRecord, ExternalRunRow } from '../store/external.ts';
import type { FoldedRun } from './fold.ts';

export function fromRow(row: ExternalRunRow): FoldedRun {
  return {
    id: row.id,
    engine: row.engine,
    externalId: row.external_id,
    workflow: row.workflow,
    state: row.state,
    parameters: row.parameters,
    logicalDate: row.logical_date?.getTime() ?? null,
    businessKey: row.business_key,
    parentRunId: row.parent_run_id,
    inputs: row.inputs ?? [],
    outputs: row.outputs ?? [],
    createdAt: row.created_at.getTime(),
    startedAt: row.started_at?.getTime() ?? null,
    finishedAt: row.finished_at?.getTime() ?? null,
    error: row.error?.message ?? null,
  };
}

export function toRecord(run: FoldedRun): ExternalRunRecord {
  return {
    id: run.id,
    workflow: run.workflow,
    state: run.state,
    parameters: run.parameters,
    logical_date: toRfc3339(run.logicalDate),
    business_key: run.businessKey,
    parent_run_id: run.parentRunId,
    inputs: run.inputs,
    outputs: run.outputs,
    created_at: new Date(run.createdAt).toISOString(),
    started_at: toRfc3339(run.startedAt),
    finished_at: toRfc3339(run.finishedAt),
    error: run.error === null ? null : { name: 'Error', message: run.error },
  };
}

/** The run as it stood after an event of the state, for ClickHouse. */
export function toRunEvent(
  run: FoldedRun,
  event: { readonly state: string; readonly at: number },
): Omit<RunEvent, 'id'> {
  const ended = event.state !== 'running';
  return {
    at: event.at,
    engine: run.engine,
    runId: run.id,
    workflow: run.workflow,
    taskKey: '',
    attempt: 1,
    state: event.state,
    businessKey: run.businessKey,
    logicalDate: run.logicalDate,
    parameters: JSON.stringify(run.parameters),
    trigger: 'external',
    parentRunId: run.parentRunId ?? '',
    retryOf: '',
    agent: '',
    traceId: '',
    error: ended ? (run.error ?? '') : '',
    startedAt: run.startedAt,
    finishedAt: ended ? event.at : null,
  };
}
