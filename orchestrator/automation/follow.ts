/**
 * Looks at automated assets: at those that something happened to, or to an upstream of which, and at those whose
 * moment has come. The place in the events, what was found and the runs that are asked for are one transaction, under
 * the lock of the place: two servers, or one that dies in between, neither double nor lose a run.
 */
import type { AssetEvent } from '../../domain/events.ts';
import type { Clock, EpochMs } from '../../domain/time.ts';
import { createEventFollower, type EventFollower, type FollowerDeps } from '../events/follower.ts';
import { runEndsIn } from '../events/run-ends.ts';
import { createRunIds } from '../runs/run-id.ts';
import type { CreatedRun, CreateRuns } from '../runs/trigger.ts';
import {
  AUTOMATION_FOLLOWER,
  isAnyAutomated,
  readAutomated,
  readDueAutomation,
} from '../store/automation.ts';
import type { Tx } from '../store/connection.ts';
import type { Place } from '../store/event-batch.ts';
import { readFollowed } from '../store/workflow-on.ts';
import { automatedBelow, createNetwork, type Network, withUpstreams } from './network.ts';
import { type Facts, type FactsDeps, readFacts } from './read-facts.ts';
import { LOOK_EVERY_MS, recordRound } from './record.ts';
import { makeRuns } from './request.ts';
import { lookAtAll } from './round.ts';
import { readAssetsOfRuns } from './under-way.ts';

export interface AutomationDeps extends FollowerDeps, FactsDeps {
  readonly clock: Clock;
  readonly createRuns: CreateRuns;
}

const ROWS = 500;
/** Assets that are looked at in one round because their moment has come. */
const MAX_DUE = 5_000;

/** Rows of events; one without kind says only that something is due. */
interface Row extends Place {
  readonly kind: 'asset' | 'change' | 'due';
  readonly events: string | null;
}

export function createAutomationFollower(deps: AutomationDeps): EventFollower {
  const network = createNetwork();
  const newId = createRunIds(deps.clock);
  return createEventFollower<Row, true>(deps, {
    name: 'automation',
    place: AUTOMATION_FOLLOWER,
    table: 'asset_automation',
    topics: ['run', 'asset', 'workflow'],
    waiting: 'automated assets',
    rows: ROWS,
    wanted: async (tx) => ((await isAnyAutomated(tx)) ? true : null),
    async read(tx, place, limit) {
      const rows = await readFollowed(tx, place, limit);
      if (rows.length > 0) return rows;
      const due = await readDue(tx, deps.clock.now(), 1);
      return due.length > 0 ? [{ ...place, kind: 'due', events: null }] : [];
    },
    act: (tx, _wanted, rows) => lookRound(tx, deps, network, newId, rows),
  });
}

function readDue(tx: Tx, now: EpochMs, limit: number): Promise<readonly string[]> {
  const atMost = new Date(now + 2 * LOOK_EVERY_MS);
  return readDueAutomation(tx, { now: new Date(now), atMost, limit });
}

async function lookRound(
  tx: Tx,
  deps: AutomationDeps,
  readNetwork: (tx: Tx) => Promise<Network>,
  newId: () => string,
  rows: readonly Row[],
): Promise<readonly CreatedRun[]> {
  const now = deps.clock.now();
  const due = await readDue(tx, now, MAX_DUE);
  const { assets, runIds } = happenedIn(rows);
  if (due.length === 0 && assets.size === 0 && runIds.length === 0) return [];
  const [network, automated] = await Promise.all([readNetwork(tx), readAutomated(tx)]);
  const concerned = withUpstreams(automated, network);
  const ended = await readAssetsOfRuns(tx, deps.versions, runIds, concerned, network.producers);
  const touched = [...assets, ...ended].filter((key) => concerned.has(key));
  const affected = new Set([
    ...due,
    ...touched.flatMap((key) => [key, ...(network.below.get(key) ?? [])]),
  ]);
  const keys = [...affected].filter((key) => automated.has(key));
  if (keys.length === 0) return [];
  let facts = await readFacts(tx, deps, network, keys, now);
  let round = lookAtAll(facts.looks, now);
  const below = automatedBelow(network, [...round.requested.keys()], automated);
  const further = below.filter((key) => !facts.rows.has(key));
  if (further.length > 0) {
    // What lies below comes along in the same run, where its condition says so.
    facts = together(facts, await readFacts(tx, deps, network, further, now));
    round = lookAtAll(facts.looks, now);
  }
  const made = await makeRuns(tx, deps.createRuns, round.decided, facts.assets, now);
  const failed = [...facts.failed, ...round.failed];
  await recordRound(tx, { ...facts, ...round, failed, made }, newId, now);
  return made.created;
}

function together(one: Facts, other: Facts): Facts {
  return {
    failed: [...one.failed, ...other.failed],
    looks: [...one.looks, ...other.looks],
    rows: new Map([...one.rows, ...other.rows]),
    states: new Map([...one.states, ...other.states]),
    assets: new Map([...one.assets, ...other.assets]),
  };
}

/** Assets that something became of, and runs that have ended. */
function happenedIn(rows: readonly Row[]): {
  readonly assets: ReadonlySet<string>;
  readonly runIds: readonly string[];
} {
  const assets = new Set<string>();
  const runIds = new Set<string>();
  for (const { kind, events } of rows) {
    if (events === null) continue;
    if (kind === 'asset') {
      for (const event of JSON.parse(events) as Omit<AssetEvent, 'id'>[]) {
        if (event.type !== 'automation-held') assets.add(event.assetKey);
      }
      continue;
    }
    for (const { runId } of runEndsIn(events)) runIds.add(runId);
  }
  return { assets, runIds: [...runIds] };
}
