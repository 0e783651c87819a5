/** Reads all that a round has to know, for many assets at once: a few statements, whatever their number. */
import type { AutomationCondition } from '../../domain/automation.ts';
import type { StaleCause } from '../../domain/partition.ts';
import type { EpochMs } from '../../domain/time.ts';
import { type Judge, judgeAt } from '../assets/partitions/freshness.ts';
import type { MappingMoment } from '../assets/partitions/mapping.ts';
import { dynamicNamesOf } from '../assets/partitions/partition-set.ts';
import { effectivePolicy } from '../assets/policy.ts';
import { neverMade, type Staleness } from '../assets/staleness.ts';
import type { Versions } from '../runs/versions.ts';
import { type AutomationRow, lockAutomation, readAllPaused } from '../store/automation.ts';
import { type AssetFactRow, readAssetFacts, readCheckFacts } from '../store/automation-facts.ts';
import { readRunEnds, readStates, type StateRow } from '../store/automation-state.ts';
import type { Tx } from '../store/connection.ts';
import { readDynamicKeys } from '../store/dynamic-partition.ts';
import { candidatesOf } from './candidates.ts';
import { MAX_PARTITIONS, nodesOf } from './condition.ts';
import { NO_MEMORY, nodeName, type OwnFacts, type Subject } from './facts.ts';
import { readableInProduction } from './from-production.ts';
import { type Network, withUpstreams } from './network.ts';
import { type AssetLook, type Failed, failedBy } from './round.ts';
import { readUnderWay } from './under-way.ts';
import {
  type Need,
  needsOf,
  ownVersion,
  readVersions,
  toUpstream,
  type World,
} from './versions.ts';

export interface FactsDeps {
  readonly versions: Versions;
  readonly staleness: Staleness;
}

export interface Facts {
  /** Those of which it could not be told what they need. */
  readonly failed: readonly Failed[];
  readonly looks: readonly AssetLook[];
  readonly rows: ReadonlyMap<string, AutomationRow>;
  readonly states: ReadonlyMap<string, StateRow>;
  readonly assets: ReadonlyMap<string, AssetFactRow>;
}

/** What is known of these automated assets; their rows are locked. */
export async function readFacts(
  tx: Tx,
  deps: FactsDeps,
  network: Network,
  keys: readonly string[],
  now: EpochMs,
): Promise<Facts> {
  const rows = new Map((await lockAutomation(tx, keys)).map((row) => [row.asset_key, row]));
  const own = [...rows.keys()];
  const all = withUpstreams(own, network);
  const asking = own.filter((key) => asksForChecks(rows.get(key)?.definition.condition));
  const elsewhere = await readableInProduction(tx, all);
  const [assetRows, stateRows, checkRows, paused, busy] = await Promise.all([
    readAssetFacts(tx, [...new Set([...all, ...elsewhere.values()])]),
    readStates(tx, own),
    readCheckFacts(tx, [...withUpstreams(asking, network)]),
    readAllPaused(tx),
    readUnderWay(tx, deps.versions, all, network.producers),
  ]);
  const assets = new Map(assetRows.map((row) => [row[0], row]));
  const states = new Map(stateRows.map((row) => [nodeName(row[0], row[1] || null), row]));
  const names = assetRows.flatMap(([, , partitions]) => dynamicNamesOf(partitions));
  const moment = { now, dynamic: await readDynamicKeys(tx, names) };
  const statesOf = Map.groupBy(stateRows, ([key]) => key);
  const { partitions, needs, failed } = whatIsNeeded(own, (key) => {
    const of = partitionsOf(key, rows, assets, statesOf.get(key) ?? [], moment);
    return of.map(
      (one) => [one, needsOf(key, one, network, { assets, elsewhere }, moment)] as const,
    );
  });
  const versions = await readVersions(tx, { needs, own, partitions, elsewhere });
  const world: World = {
    ...{ assets, busy, versions, elsewhere, producers: network.producers },
    checks: Map.groupBy(checkRows, ({ key }) => key),
  };
  const [ends, stale] = await Promise.all([
    readRunEnds(tx, openRequests(stateRows, world)),
    readStale(deps.staleness, own, rows, partitions),
  ]);
  const surroundings = { world, rows, states, needs, ends, stale, paused, judge: judgeAt(now) };
  const looks = [...partitions].flatMap(([key, of]): readonly AssetLook[] => {
    try {
      const subjects = subjectsOf(key, of, surroundings);
      return [{ key, subjects, underWay: busy.get(key)?.partitions.size ?? 0 }];
    } catch (error) {
      failed.push(failedBy(key, error));
      return [];
    }
  });
  return { looks, failed, rows, states, assets };
}

/** A fault in the definition of one asset is its own. */
function whatIsNeeded(
  keys: readonly string[],
  of: (key: string) => readonly (readonly [string | null, readonly Need[]])[],
) {
  const partitions = new Map<string, readonly (string | null)[]>();
  const needs = new Map<string, readonly Need[]>();
  const failed: Failed[] = [];
  for (const key of keys) {
    try {
      const found = of(key);
      for (const [partition, need] of found) needs.set(nodeName(key, partition), need);
      partitions.set(
        key,
        found.map(([partition]) => partition),
      );
    } catch (error) {
      failed.push(failedBy(key, error));
    }
  }
  return { partitions, needs, failed };
}

interface Surroundings extends Pick<Facts, 'rows' | 'states'> {
  readonly world: World;
  readonly needs: ReadonlyMap<string, readonly Need[]>;
  readonly ends: ReadonlyMap<string, string>;
  readonly stale: ReadonlyMap<string, readonly StaleCause[]>;
  readonly paused: { at: Date; by: string } | null;
  readonly judge: Judge;
}

function subjectsOf(
  key: string,
  partitions: readonly (string | null)[],
  { world, rows, states, needs, ends, stale, paused, judge }: Surroundings,
): readonly Subject[] {
  const row = rows.get(key);
  if (!row) return [];
  const shared = sharedFacts(key, world, judge);
  return partitions.map((partition): Subject => {
    const name = nodeName(key, partition);
    const memory = states.get(name)?.[2] ?? NO_MEMORY;
    const requestEnded = ends.get(memory.request?.runId ?? '') ?? null;
    const made = ownVersion(key, partition, world);
    return {
      ...{ key, partition, memory, hash: row.hash, crons: row.crons },
      own: { ...shared, ...made, requestEnded, stale: stale.get(name) ?? [] },
      definition: row.definition,
      paused: pauseOf(row, paused),
      upstreams: (needs.get(name) ?? []).map((need) => toUpstream(need, world)),
    };
  });
}

function asksForChecks(condition: AutomationCondition | undefined): boolean {
  return (
    condition !== undefined &&
    nodesOf(condition).some(
      ({ kind }) => kind === 'checks-passed' || kind === 'any-upstream-check-failed',
    )
  );
}

/** Partitions that are looked at; one null for an asset that is one whole. */
function partitionsOf(
  key: string,
  rows: Facts['rows'],
  assets: Facts['assets'],
  states: readonly StateRow[],
  { now, dynamic }: MappingMoment,
): readonly (string | null)[] {
  const definition = assets.get(key)?.[2] ?? null;
  const automation = rows.get(key)?.definition;
  if (definition === null || !automation) return [null];
  const open = states.flatMap(([, partition, , decision]) =>
    partition !== '' && decision !== 'idle' ? [partition] : [],
  );
  const { partitions: newest } = automation;
  return candidatesOf(definition, { newest, most: MAX_PARTITIONS, open, now, dynamic });
}

/** What is the same for all partitions of an asset. */
function sharedFacts(
  key: string,
  world: World,
  judge: Judge,
): Pick<OwnFacts, 'codeVersion' | 'freshness' | 'checks'> {
  const row = world.assets.get(key);
  const checks = world.checks.get(key) ?? [];
  if (!row) return { codeVersion: null, freshness: 'unknown', checks };
  const [, , partitions, codeVersion, declared, set, computedAt, fallback, made, completeAt] = row;
  const freshness = judge({
    policy: effectivePolicy(declared, set),
    ...{ computedAtMs: computedAt, fallback, partitions, made, completeAtMs: completeAt },
  });
  return { codeVersion, freshness, checks };
}

function pauseOf(row: AutomationRow, all: { at: Date; by: string } | null): Subject['paused'] {
  if (row.paused_at) return { at: row.paused_at.getTime(), by: row.paused_by ?? '', all: false };
  if (all) return { at: all.at.getTime(), by: all.by, all: true };
  const at = row.workflow_paused_at?.getTime();
  return at === undefined ? null : { at, by: 'a pause of its workflow', all: false };
}

/** Runs that were asked for and have not made a version since, as far as they do not run any more. */
function openRequests(states: readonly StateRow[], world: World): readonly string[] {
  const runs = states.flatMap(([key, partition, { request }]) => {
    if (!request) return [];
    const { marker, inProgress } = ownVersion(key, partition || null, world);
    return request.own === marker && inProgress === null ? [request.runId] : [];
  });
  return [...new Set(runs)];
}

/** Causes by asset and partition, of those whose condition asks for them. */
async function readStale(
  staleness: Staleness,
  own: readonly string[],
  rows: Facts['rows'],
  partitions: ReadonlyMap<string, readonly (string | null)[]>,
): Promise<ReadonlyMap<string, readonly StaleCause[]>> {
  const causes = new Map<string, readonly StaleCause[]>();
  const asking = own.filter((key) => {
    const condition = rows.get(key)?.definition.condition;
    return condition && nodesOf(condition).some(({ kind }) => kind === 'stale');
  });
  if (asking.length === 0) return causes;
  const all = await staleness.all();
  for (const key of asking) {
    const of = (partitions.get(key) ?? []).flatMap((partition) => partition ?? []);
    if (of.length === 0) {
      causes.set(nodeName(key, null), all.get(key) ?? []);
      continue;
    }
    const found = await staleness.ofPartitions(key, of);
    for (const partition of of) {
      causes.set(nodeName(key, partition), found.get(partition) ?? [neverMade()]);
    }
  }
  return causes;
}
