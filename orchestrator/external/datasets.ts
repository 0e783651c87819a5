/**
 * What runs of other engines say of assets. A run that succeeded materialized its outputs, those that an earlier
 * event of it named included, at its end; one that failed made them fail. Checks count on whichever event they
 * come. The key of a version is its run, so that a repeat records nothing.
 */
import type { ExternalCheck, ExternalRunEvent } from '../../domain/events.ts';
import type { SeenCheck, SeenFailure, SeenOfAssets, SeenVersion } from '../assets/record.ts';
import type { FoldedRun } from './fold.ts';

/** Edges that one run gives; beyond it a run reads and writes a whole warehouse, and its edges say nothing. */
const MAX_EDGES = 10_000;

export interface FoldedEvents {
  readonly run: FoldedRun;
  /** Events of this batch, by time. */
  readonly events: readonly ExternalRunEvent[];
}

export function seenOfAssets(folded: readonly FoldedEvents[], newId: () => string): SeenOfAssets {
  return {
    versions: folded.flatMap((each) => versionsOf(each, newId)),
    failures: folded.flatMap(failuresOf),
    checks: folded.flatMap(checksOf),
  };
}

function versionsOf({ run, events }: FoldedEvents, newId: () => string): SeenVersion[] {
  if (run.state !== 'succeeded' || run.finishedAt === null) return [];
  const said = new Map(
    events.flatMap((event) => event.outputs.map((output) => [output.assetKey, output] as const)),
  );
  const at = run.finishedAt;
  return run.outputs.map((assetKey) => {
    const { rowCount = null, metadata = {} } = said.get(assetKey) ?? {};
    return {
      id: newId(),
      assetKey,
      at,
      runId: run.id,
      partition: run.logicalDate === null ? null : new Date(run.logicalDate).toISOString(),
      provenance: 'observed',
      metadata: rowCount === null ? metadata : { ...metadata, rowCount },
      value: null,
      idempotencyKey: `run:${run.id}`,
    };
  });
}

function failuresOf({ run }: FoldedEvents): SeenFailure[] {
  if (run.state !== 'failed' || run.finishedAt === null) return [];
  const at = run.finishedAt;
  const error = { name: 'Error', message: run.error ?? 'the run failed' };
  return run.outputs.map((assetKey) => ({ assetKey, at, runId: run.id, state: 'failed', error }));
}

function checksOf({ run, events }: FoldedEvents): SeenCheck[] {
  return events.flatMap((event) => {
    const of = (assetKey: string, checks: readonly ExternalCheck[]) =>
      checks.map((check) => ({ ...check, assetKey, blocking: false, at: event.at, runId: run.id }));
    return [
      ...event.outputs.flatMap((output) => of(output.assetKey, output.checks)),
      ...(event.inputChecks ?? []).flatMap((input) => of(input.assetKey, input.checks)),
    ];
  });
}

/** Datasets that the runs read or write, the edges between them, and who owns what they write. */
export function lineageOf(folded: readonly FoldedEvents[]) {
  const keys = new Set(folded.flatMap(({ run }) => [...run.inputs, ...run.outputs]));
  const edges = new Map<string, { upstream: string; downstream: string }>();
  for (const { run } of folded) {
    if (run.inputs.length * run.outputs.length > MAX_EDGES) continue;
    for (const downstream of run.outputs) {
      for (const upstream of run.inputs) {
        if (upstream !== downstream) {
          edges.set(`${upstream}\n${downstream}`, { upstream, downstream });
        }
      }
    }
  }
  const owners = new Map<string, readonly string[]>();
  for (const { run, events } of folded) {
    const names = events.findLast((event) => event.owners.length > 0)?.owners;
    if (names) for (const key of run.outputs) owners.set(key, names);
  }
  return {
    keys: [...keys],
    edges: [...edges.values()],
    owners: [...owners].map(([key, names]) => ({ key, owners: names })),
  };
}
