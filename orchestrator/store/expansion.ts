/** What became of mapped tasks, and the attempts that tasks of a run had before: columns of `run_live` and `run`. */
import type { Expansion } from '../runs/expansion.ts';
import { plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

const STORE_LIVE = `
  UPDATE signalbox.run_live r SET expanded = c.expanded
  FROM unnest($1::uuid[], $2::jsonb[]) AS c (run_id, expanded) WHERE r.run_id = c.run_id`;
const STORE = `
  UPDATE signalbox.run r SET expanded = c.expanded
  FROM unnest($1::uuid[], $2::jsonb[]) AS c (run_id, expanded) WHERE r.id = c.run_id`;

/** Stores the instances that runs have by now; the caller holds the runs' locks. */
export async function storeExpanded(
  tx: Tx,
  runs: readonly {
    readonly runId: string;
    readonly version: { readonly expanded: readonly Expansion[] };
  }[],
): Promise<void> {
  if (runs.length === 0) return;
  const values = [
    plainArray(runs.map(({ runId }) => runId)),
    textArray(runs.map(({ version }) => JSON.stringify(version.expanded))),
  ];
  await Promise.all([tx.execute(STORE_LIVE, values), tx.execute(STORE, values)]);
}

/**
 * Of a run that goes on after its end: instances that it has, and the last attempts that its pending tasks had.
 * Does nothing where there is neither.
 */
export async function storeBefore(
  tx: Tx,
  runId: string,
  expanded: readonly Expansion[],
  attempts: ReadonlyMap<number, number>,
): Promise<void> {
  if (expanded.length === 0 && attempts.size === 0) return;
  await tx.execute(
    `UPDATE signalbox.run_live SET expanded = $2::jsonb, last_attempts = $3::jsonb WHERE run_id = $1`,
    [
      runId,
      expanded.length === 0 ? null : JSON.stringify(expanded),
      attempts.size === 0 ? null : JSON.stringify([...attempts]),
    ],
  );
}

/** Reads the column `last_attempts`; null for none. */
export function readAttempts(
  pairs: readonly (readonly [number, number])[] | null,
): ReadonlyMap<number, number> | null {
  return pairs === null ? null : new Map(pairs);
}
