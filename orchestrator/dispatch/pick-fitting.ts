/**
 * Picks ready tasks that fit what the claiming sessions define. It picks as if all did, which is so nearly always;
 * where a row does not fit it picks again, past such rows, and claims that follow do so from the start for a while.
 * What is picked and does not fit stays as it is, for others. There are two ways past them, of which it takes the one
 * that cost less, so that nobody is kept from work of his own by what waits for others.
 */
import type { Clock } from '../../domain/time.ts';
import type { RunInfos } from '../runs/run-info.ts';
import type { PickedRow } from '../store/claim.ts';
import { type DefinedFilter, placeOf } from '../store/claim-defined.ts';
import type { Tx } from '../store/connection.ts';
import type { ClaimMemory, DefinitionSet } from './definitions.ts';

/** Times that one claim picks. */
const MAX_ROUNDS = 6;
const FILTER_FOR_MS = 5_000;
const MAX_EXCLUDED = 1_000;
/** A claim that read for so long, and found nothing, makes the next ones wait. */
const LONG_MS = 20;
const REST_TIMES = 10;
const MAX_REST_MS = 1_000;
/** What trying the other way again may cost: this share of what the way that is taken costs meanwhile. */
const TRY_SHARE = 0.1;

interface FittingDeps {
  readonly clock: Clock;
  readonly infos: RunInfos;
}

/** Rows that have at least one task that fits; which ones, `DefinitionSet.fits` tells without a look from now on. */
export async function pickFitting(
  { clock, infos }: FittingDeps,
  tx: Tx,
  of: { readonly definitions: DefinitionSet; readonly queues: readonly string[] },
  pick: (filter: DefinedFilter | undefined) => Promise<readonly PickedRow[]>,
): Promise<readonly PickedRow[]> {
  const { definitions, queues } = of;
  if (definitions.id === null) {
    const rows = await pick(undefined);
    await load(infos, tx, rows);
    return rows;
  }
  const memory = definitions.memoryOf(queues);
  let filtered = clock.now() < memory.filterUntil;
  for (let round = 1; ; round += 1) {
    const rows = filtered
      ? await pickPast(clock, definitions.id, definitions.shared, memory, pick)
      : await pick(undefined);
    await load(infos, tx, rows);
    await learn(infos, tx, definitions, rows);
    const fitting = rows.filter((row) => fitsAny(infos, definitions, row));
    if (fitting.length === rows.length || round === MAX_ROUNDS) return fitting;
    if (filtered) exclude(infos, definitions, memory.excluded, rows);
    memory.filterUntil = clock.now() + FILTER_FOR_MS;
    filtered = true;
  }
}

/** Picks past rows that do not fit, in order unless that takes long and the other way less. */
async function pickPast(
  clock: Clock,
  definitions: string,
  shared: readonly string[],
  memory: ClaimMemory,
  pick: (filter: DefinedFilter) => Promise<readonly PickedRow[]>,
): Promise<readonly PickedRow[]> {
  const { tookMs, excluded } = memory;
  const byRuns = tookMs.inOrder > LONG_MS && tookMs.byRuns < tookMs.inOrder;
  const began = clock.now();
  // Also of one that ran into its time limit: it must not be begun again in the same way.
  const rows = await pick({ definitions, excluded, byRuns: byRuns ? shared : null }).finally(() =>
    noteCost(tookMs, byRuns, clock.now() - began),
  );
  const cheaper = Math.min(tookMs.inOrder, tookMs.byRuns);
  if (rows.length === 0 && cheaper > LONG_MS) {
    memory.restUntil = clock.now() + Math.min(MAX_REST_MS, cheaper * REST_TIMES);
  }
  return rows;
}

/** What was not taken is thought cheaper by a share of what was spent: so it is tried again, and what that costs is bounded. */
function noteCost(tookMs: ClaimMemory['tookMs'], byRuns: boolean, ms: number): void {
  const [taken, other] = byRuns
    ? (['byRuns', 'inOrder'] as const)
    : (['inOrder', 'byRuns'] as const);
  tookMs[taken] = ms;
  tookMs[other] = Math.max(0, tookMs[other] - ms * TRY_SHARE);
}

/** Whether the task fits; for rows that `pickFitting` gave. A run that is not known has no graph to ask. */
export function fitsTask(
  infos: RunInfos,
  definitions: DefinitionSet,
  runId: string,
  task: number,
): boolean {
  if (definitions.id === null) return true;
  const info = infos.get(runId);
  return info === undefined || definitions.fits(info.version, task) === true;
}

function fitsAny(infos: RunInfos, definitions: DefinitionSet, row: PickedRow): boolean {
  const fits = (task: number) => fitsTask(infos, definitions, row.runId, task);
  return fits(row.task) || row.more.some(fits);
}

function load(infos: RunInfos, tx: Tx, rows: readonly PickedRow[]): Promise<void> {
  // On the connection that has the rows: who waits for these may have the others.
  return infos.load(tx, new Set(rows.map(({ runId }) => runId)));
}

async function learn(
  infos: RunInfos,
  tx: Tx,
  definitions: DefinitionSet,
  rows: readonly PickedRow[],
): Promise<void> {
  for (const { runId, task } of rows) {
    const version = infos.get(runId)?.version;
    if (version && definitions.fits(version, task) === undefined) {
      await definitions.learn(tx, version);
    }
  }
}

function exclude(
  infos: RunInfos,
  definitions: DefinitionSet,
  excluded: Set<string>,
  rows: readonly PickedRow[],
): void {
  for (const row of rows) {
    const version = infos.get(row.runId)?.version;
    if (!version || fitsAny(infos, definitions, row)) continue;
    if (excluded.size >= MAX_EXCLUDED) excluded.clear();
    excluded.add(placeOf(version.id, row));
  }
}
