/**
 * What runs and tasks of this orchestrator became in one transaction, as compact as can be: what is known of the
 * run already (workflow, parameters, keys) is not written again for each change; the reader looks it up.
 */
import type { RunError, RunState } from '../../domain/run.ts';
import { errorText } from '../../domain/run-error.ts';
import type { EpochMs } from '../../domain/time.ts';
import { plainArray, textArray } from '../store/columns.ts';
import type { Tx } from '../store/connection.ts';

/**
 * One change: index of the run; index of the task, or −1 for the run itself; attempt; state (a run's word, or the
 * code of an ended attempt); at; agent; started; finished; error.
 */
export type ChangeRow = readonly [
  run: number,
  task: number,
  attempt: number,
  state: string | number,
  at: EpochMs,
  agent: string,
  startedAt: EpochMs | null,
  finishedAt: EpochMs | null,
  error: string,
];

/** What stands in `event_batch.events` for the kind `change`. */
export interface StoredChanges {
  readonly runs: readonly string[];
  readonly changes: readonly ChangeRow[];
}

export interface RunChange {
  readonly state: RunState;
  readonly startedAt?: EpochMs | null;
  readonly finishedAt?: EpochMs | null;
  readonly error?: RunError | null;
}

export interface AttemptEnd {
  readonly task: number;
  readonly attempt: number;
  readonly code: number;
  readonly agent: string;
  readonly startedAt: EpochMs | null;
  readonly finishedAt: EpochMs | null;
  readonly error: RunError | null;
}

/** Collects the changes of one transaction. */
export interface Changes {
  run(runId: string, change: RunChange): void;
  attempt(runId: string, end: AttemptEnd): void;
  /** Appends them; does nothing where there are none. */
  append(tx: Tx): Promise<void>;
}

/** Changes in one row: what reads rows with a limit must not get far beyond it. */
const MAX_IN_ROW = 1_000;

const APPEND = `
  INSERT INTO signalbox.event_batch (at, kind, size, events)
  SELECT to_timestamp($1::float8 / 1000), 'change', size, events
  FROM unnest($2::int[], $3::text[]) AS b (size, events)`;

/** @param at time of all changes of the transaction */
export function collectChanges(at: EpochMs): Changes {
  const runs: string[] = [];
  const places = new Map<string, number>();
  const changes: ChangeRow[] = [];
  const placeOf = (runId: string) => {
    const known = places.get(runId);
    if (known !== undefined) return known;
    places.set(runId, runs.length);
    return runs.push(runId) - 1;
  };
  return {
    run(runId, { state, startedAt = null, finishedAt = null, error = null }) {
      const text = error === null ? '' : errorText(error);
      changes.push([placeOf(runId), -1, 0, state, at, '', startedAt, finishedAt, text]);
    },
    attempt(runId, { task, attempt, code, agent, startedAt, finishedAt, error }) {
      const text = error === null ? '' : errorText(error);
      changes.push([placeOf(runId), task, attempt, code, at, agent, startedAt, finishedAt, text]);
    },
    async append(tx) {
      if (changes.length === 0) return;
      const parts = splitChanges(runs, changes);
      await tx.execute(APPEND, [
        at,
        plainArray(parts.map((part) => part.changes.length)),
        textArray(parts.map((part) => JSON.stringify(part))),
      ]);
    },
  };
}

/** Parts of limited size, each with the runs that it names. */
function splitChanges(
  runs: readonly string[],
  changes: readonly ChangeRow[],
): readonly StoredChanges[] {
  if (changes.length <= MAX_IN_ROW) return [{ runs, changes }];
  const parts: StoredChanges[] = [];
  for (let at = 0; at < changes.length; at += MAX_IN_ROW) {
    const places = new Map<number, number>();
    const named: string[] = [];
    const part = changes.slice(at, at + MAX_IN_ROW).map(([run, ...rest]): ChangeRow => {
      const place = places.get(run) ?? named.push(runs[run] ?? '') - 1;
      places.set(run, place);
      return [place, ...rest];
    });
    parts.push({ runs: named, changes: part });
  }
  return parts;
}
