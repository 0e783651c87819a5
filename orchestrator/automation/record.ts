/**
 * Stores what a round found, in its transaction: what each look remembers, looks that found something new, how each
 * asset stands and when it is looked at next; and tells of assets that have been held back for too long.
 */
import type { AutomationReason } from '../../domain/automation.ts';
import type { AssetEvent } from '../../domain/events.ts';
import { type EpochMs, formatDuration, toRfc3339 } from '../../domain/time.ts';
import { dynamicNamesOf } from '../assets/partitions/partition-set.ts';
import { hashText } from '../assets/partitions/place.ts';
import { appendAssetEvents } from '../events/append.ts';
import { nextInstant } from '../schedule/cron.ts';
import { type AutomationRow, type StandingRecord, setStandings } from '../store/automation.ts';
import type { AssetFactRow } from '../store/automation-facts.ts';
import {
  deleteStates,
  type EvaluationRecord,
  insertEvaluations,
  type StateRecord,
  type StateRow,
  upsertStates,
} from '../store/automation-state.ts';
import type { Tx } from '../store/connection.ts';
import { nextPartitionAt } from './candidates.ts';
import { cronsOf, nodesOf } from './condition.ts';
import type { Decided } from './decide.ts';
import { type Memory, nodeName } from './facts.ts';
import type { MadeRuns } from './request.ts';
import { type Failed, failedBy } from './round.ts';
import { promise } from './seen.ts';
import { moment } from './words.ts';

/** Whatever happens, an asset is looked at this often; nothing is ever set further ahead. */
export const LOOK_EVERY_MS = 300_000;
/** Freshness and causes of staleness change with time, and by what leaves no event. */
const QUALITY_EVERY_MS = 60_000;
const DYNAMIC_EVERY_MS = 30_000;
/** An asset that could not be looked at is tried again. */
const ERROR_EVERY_MS = 30_000;
/** What is held back for longer is told each day anew. */
const AGAIN_MS = 86_400_000;
/** Looks at partitions of one asset that a round stores. */
const MAX_STORED = 50;
/** Of partitions beyond these, the oldest, nothing is stored while nothing calls for them. */
const REMEMBERED = 100;

export interface RoundRecord {
  readonly decided: readonly Decided[];
  readonly failed: readonly Failed[];
  readonly made: MadeRuns;
  readonly rows: ReadonlyMap<string, AutomationRow>;
  readonly states: ReadonlyMap<string, StateRow>;
  readonly assets: ReadonlyMap<string, AssetFactRow>;
}

interface Recorded extends StateRecord {
  /** Whether it is another evaluation than the stored one. */
  readonly isNews: boolean;
  /** Whether anything has to be written. */
  readonly isChanged: boolean;
  readonly tells: boolean;
  readonly againAt: EpochMs | null;
}

export async function recordRound(
  tx: Tx,
  round: RoundRecord,
  newId: () => string,
  now: EpochMs,
): Promise<void> {
  const broken = new Map(
    [...round.failed, ...round.made.failed].map((one) => [one.key, one.message]),
  );
  const recorded = round.decided
    .filter(({ subject }) => !broken.has(subject.key))
    .map((one) => recordOf(one, round, newId, now));
  const byAsset = Map.groupBy(recorded, ({ asset_key }) => asset_key);
  const keptOf = [...byAsset.values()].map((of) => of.filter(isKept));
  const kept = keptOf.flat();
  await upsertStates(tx, kept.filter(({ isChanged }) => isChanged).map(withoutMarks));
  await deleteStates(tx, goneOf(round, kept, broken));
  const news = keptOf.flatMap((of) => of.filter(({ isNews }) => isNews).slice(-MAX_STORED));
  await insertEvaluations(tx, news.map(toEvaluation));
  const standings = [...round.rows.values()].map((row) => {
    const message = broken.get(row.asset_key);
    if (message !== undefined) return brokenStanding(row, message, now);
    try {
      return standingOf(row, byAsset.get(row.asset_key) ?? [], round, now);
    } catch (error) {
      return brokenStanding(row, failedBy(row.asset_key, error).message, now);
    }
  });
  await setStandings(tx, standings, new Date(now));
  const told = recorded.filter(({ tells }) => tells);
  const brokenLong = standings.filter(
    ({ state, overdue, asset_key }) =>
      state === 'error' && overdue && round.rows.get(asset_key)?.overdue === false,
  );
  const events = [
    ...told.map(({ asset_key, partition, held_since, evaluation: { reason } }) =>
      toEvent({ asset_key, partition, held_since, reason }, now),
    ),
    ...brokenLong.map((one) => toEvent({ ...one, partition: '' }, now)),
  ];
  await appendAssetEvents(tx, events, now);
}

function recordOf(
  decided: Decided,
  { made, states }: RoundRecord,
  newId: () => string,
  now: EpochMs,
): Recorded {
  const { subject, decision, reason, condition, gates } = decided;
  const name = nodeName(subject.key, subject.partition);
  const before = states.get(name);
  const runId = decision === 'requested' ? (made.runOf.get(name) ?? null) : null;
  const memory = runId === null ? decided.memory : afterRequest(decided, made, runId, now);
  const found = { reason, condition, gates, runId };
  const sig = hashText(JSON.stringify([decision, found]));
  const memorySig = hashText(JSON.stringify(memory));
  const [, , , , sigBefore, memorySigBefore, since, heldSince, toldAt] = before ?? [];
  const isNews = sigBefore !== sig;
  const isHeld = decision === 'held';
  const held = isHeld ? (heldSince ?? now) : null;
  const tellAt = held === null ? null : tellNextAt(held, toldAt ?? null, subject.definition);
  const tells = tellAt !== null && now >= tellAt;
  const told = isHeld ? (tells ? now : (toldAt ?? null)) : null;
  return {
    ...{ asset_key: subject.key, partition: subject.partition ?? '', memory, decision },
    evaluation: { id: newId(), ...found },
    ...{ sig, memory_sig: memorySig },
    since: new Date(isNews ? now : (since ?? now)).toISOString(),
    held_since: toRfc3339(held),
    told_at: toRfc3339(told),
    ...{ isNews, tells },
    isChanged: isNews || tells || memorySigBefore !== memorySig || (heldSince ?? null) !== held,
    againAt: earliest(
      decided.againAt,
      held === null ? null : tellNextAt(held, told, subject.definition),
    ),
  };
}

/** When it is told that an asset is held back: after its time, and again each day that this lasts. */
function tellNextAt(
  held: EpochMs,
  toldAt: EpochMs | null,
  { tellAfterMs }: Decided['subject']['definition'],
): EpochMs {
  return toldAt === null ? held + tellAfterMs : toldAt + Math.max(tellAfterMs, AGAIN_MS);
}

function afterRequest(
  { subject, memory, cause, joins }: Decided,
  { runOf }: MadeRuns,
  runId: string,
  now: EpochMs,
): Memory {
  const seen = Object.fromEntries(
    subject.upstreams.flatMap(({ key, marker, partitions }) => {
      const above = (partitions ?? ['']).map((one) => runOf.get(nodeName(key, one || null)));
      // Of an upstream that the same run makes, what it will have made counts.
      const isJoined = joins.includes(key) && (partitions === null || above.includes(runId));
      if (isJoined) return [[key, promise(runId, marker)]];
      return marker === null ? [] : [[key, marker]];
    }),
  );
  return {
    ...memory,
    seen: { ...memory.seen, ...seen },
    handledAt: now,
    request: { runId, at: now, cause: cause ?? '', own: subject.own.marker },
    requests: memory.requests + 1,
    missingAsked: memory.missingAsked || subject.own.marker === null,
  };
}

function isKept(one: Recorded, index: number, of: readonly Recorded[]): boolean {
  return (
    one.decision !== 'idle' ||
    one.memory.requests > 0 ||
    Object.keys(one.memory.since).length > 0 ||
    of.length - index <= REMEMBERED
  );
}

function withoutMarks(record: Recorded): StateRecord {
  const { isNews: _a, isChanged: _b, tells: _c, againAt: _d, ...state } = record;
  return state;
}

function goneOf(
  { states }: RoundRecord,
  kept: readonly Recorded[],
  broken: ReadonlyMap<string, string>,
): readonly { key: string; partition: string }[] {
  const names = new Set(
    kept.map(({ asset_key, partition }) => nodeName(asset_key, partition || null)),
  );
  return [...states.values()].flatMap(([key, partition]) =>
    names.has(nodeName(key, partition || null)) || broken.has(key) ? [] : [{ key, partition }],
  );
}

function toEvaluation({
  asset_key,
  partition,
  since,
  decision,
  evaluation,
}: Recorded): EvaluationRecord {
  return {
    ...{ id: evaluation.id, asset_key, partition, at: since, decision, evaluation },
    run_id: evaluation.runId,
  };
}

const ORDER = ['held', 'requested', 'idle'] as const;

/** How an asset stands, of all its partitions: what is held back for longest comes first. */
function standingOf(
  row: AutomationRow,
  of: readonly Recorded[],
  { assets }: RoundRecord,
  now: EpochMs,
): StandingRecord {
  const held = of
    .filter(({ decision }) => decision === 'held')
    .sort((a, b) => ((a.held_since ?? '') < (b.held_since ?? '') ? -1 : 1));
  const state = ORDER.find((one) => of.some(({ decision }) => decision === one)) ?? 'idle';
  const shown = held[0] ?? of.findLast(({ decision }) => decision === state);
  const asked = of.findLast(({ decision }) => decision === 'requested');
  const againAt = of.reduce<EpochMs | null>((most, one) => earliest(most, one.againAt), null);
  return {
    ...{ asset_key: row.asset_key, state, held: held.length, error: null },
    next_at: new Date(nextLookAt(row, assets.get(row.asset_key), againAt, now)).toISOString(),
    reason: shown?.evaluation.reason ?? nothingYet(),
    held_since: held[0]?.held_since ?? null,
    overdue: held.some(({ told_at }) => told_at !== null),
    last_request:
      asked?.evaluation.runId == null
        ? null
        : { runId: asked.evaluation.runId, at: asked.since, partition: asked.partition || null },
  };
}

function nothingYet(): AutomationReason {
  return { code: 'nothing-new', message: 'no partition of it is due yet' };
}

function brokenStanding(row: AutomationRow, message: string, now: EpochMs): StandingRecord {
  const since = row.state === 'error' || row.held_since ? row.held_since : null;
  const heldSince = since ?? new Date(now);
  return {
    ...{ asset_key: row.asset_key, state: 'error', held: Math.max(1, row.held) },
    next_at: new Date(now + ERROR_EVERY_MS).toISOString(),
    reason: { code: 'error', message: `could not be looked at: ${message}` },
    held_since: heldSince.toISOString(),
    overdue: now - heldSince.getTime() >= row.definition.tellAfterMs,
    ...{ error: message, last_request: null },
  };
}

/** When an asset is looked at next, if nothing happens before. */
function nextLookAt(
  { definition: { condition } }: AutomationRow,
  asset: AssetFactRow | undefined,
  againAt: EpochMs | null,
  now: EpochMs,
): EpochMs {
  const partitions = asset?.[2] ?? null;
  const nodes = nodesOf(condition);
  const asksQuality = nodes.some(({ kind }) => kind === 'stale' || kind === 'freshness-failing');
  const moments = [
    againAt,
    nextPartitionAt(partitions, now),
    ...cronsOf(condition).map((one) => nextInstant(one, now)),
    asksQuality ? now + QUALITY_EVERY_MS : null,
    dynamicNamesOf(partitions).length > 0 ? now + DYNAMIC_EVERY_MS : null,
  ];
  const next = moments.reduce(earliest, null) ?? now + LOOK_EVERY_MS;
  return Math.max(now + 1, Math.min(next, now + LOOK_EVERY_MS));
}

function earliest(a: EpochMs | null, b: EpochMs | null): EpochMs | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b);
}

function toEvent(
  one: Pick<StandingRecord, 'asset_key' | 'held_since' | 'reason'> & { readonly partition: string },
  now: EpochMs,
): Omit<AssetEvent, 'id'> {
  const { code, message, upstream = null, runId = '' } = one.reason ?? nothingYet();
  const since = Date.parse(one.held_since ?? '');
  return {
    ...{ at: now, recordedAt: now, assetKey: one.asset_key, type: 'automation-held' },
    ...{ runId, partition: one.partition },
    detail: JSON.stringify({
      ...{ code, message, upstream, heldSince: one.held_since },
      heldFor: formatDuration(Math.floor((now - since) / 60_000) * 60_000),
      summary: `held back since ${moment(since)}: ${message}`,
    }),
  };
}
