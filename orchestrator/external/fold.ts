/**
 * What a run of another engine has become, folded out of its events. They come in any order, more than once, or
 * not at all: the earliest start and the latest end count, an end is never taken back by what is not one, and
 * what an event does not say another may have said. So any order of the same events gives the same run.
 */
import type { ExternalRunEvent } from '../../domain/events.ts';
import { businessKey, canonicalJson, isTerminalRun, type RunState } from '../../domain/run.ts';
import type { EpochMs } from '../../domain/time.ts';

export interface FoldedRun {
  readonly id: string;
  readonly engine: string;
  readonly externalId: string;
  readonly workflow: string;
  readonly state: RunState;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly logicalDate: EpochMs | null;
  readonly businessKey: string;
  readonly parentRunId: string | null;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly createdAt: EpochMs;
  readonly startedAt: EpochMs | null;
  readonly finishedAt: EpochMs | null;
  readonly error: string | null;
}

/** Datasets of one run that are kept; more are a producer's mistake. */
const MAX_DATASETS = 2_000;

/** The run after one more event; the very same object where the event says nothing new. */
export function foldEvent(
  run: FoldedRun,
  event: ExternalRunEvent,
  parentRunId: string | null,
): FoldedRun {
  const parameters = eitherParameters(run.parameters, event.parameters);
  const logicalDate = earlier(run.logicalDate, event.logicalDate);
  const outputs = union(
    run.outputs,
    event.outputs.map((output) => output.assetKey),
  );
  const after: FoldedRun = {
    ...run,
    ...foldState(run, event),
    workflow: event.job,
    parameters,
    logicalDate,
    inputs: union(run.inputs, event.inputs),
    outputs,
    parentRunId: run.parentRunId ?? parentRunId,
    createdAt: Math.min(run.createdAt, event.at),
    businessKey: businessKey({
      engine: event.engine,
      job: event.job,
      logicalDate: logicalDate === null ? null : new Date(logicalDate).toISOString(),
      parameters,
      outputs,
    }),
  };
  return isSame(run, after) ? run : after;
}

function foldState(
  run: FoldedRun,
  event: ExternalRunEvent,
): Pick<FoldedRun, 'state' | 'startedAt' | 'finishedAt' | 'error'> {
  const { state, startedAt, finishedAt, error } = run;
  if (event.state === 'running') {
    return { state, startedAt: earlier(startedAt, event.at), finishedAt, error };
  }
  const stays =
    isTerminalRun(state) &&
    finishedAt !== null &&
    (finishedAt > event.at || (finishedAt === event.at && graver(state, event.state) === state));
  if (stays) return { state, startedAt, finishedAt, error };
  return {
    state: event.state,
    startedAt,
    finishedAt: event.at,
    error: event.state === 'failed' ? (event.error ?? 'the run failed') : event.error,
  };
}

/** Ends at the very same moment: the graver one counts. */
function graver(a: RunState, b: RunState): RunState {
  const order: readonly RunState[] = ['failed', 'cancelled', 'succeeded'];
  return order.indexOf(a) <= order.indexOf(b) ? a : b;
}

function earlier(a: EpochMs | null, b: EpochMs | null): EpochMs | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b);
}

/** What is said at all; where events contradict each other, the same one of them in whichever order they come. */
function eitherParameters(a: FoldedRun['parameters'], b: FoldedRun['parameters']) {
  if (Object.keys(b).length === 0) return a;
  if (Object.keys(a).length === 0) return b;
  return canonicalJson(a) <= canonicalJson(b) ? a : b;
}

function union(before: readonly string[], more: readonly string[]): readonly string[] {
  const all = new Set([...before, ...more]);
  return all.size === before.length ? before : [...all].sort().slice(0, MAX_DATASETS);
}

function isSame(a: FoldedRun, b: FoldedRun): boolean {
  return (
    a.state === b.state &&
    a.startedAt === b.startedAt &&
    a.finishedAt === b.finishedAt &&
    a.createdAt === b.createdAt &&
    a.workflow === b.workflow &&
    a.businessKey === b.businessKey &&
    a.parentRunId === b.parentRunId &&
    a.inputs === b.inputs &&
    a.outputs === b.outputs
  );
}
