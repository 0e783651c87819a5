/**
 * Makes the runs that a round asks for: one for what belongs together, in dependency order; what depends on nothing
 * of the round has a run of its own. A fault in one of them does not keep the others.
 */
import type { AutomationCause } from '../../domain/automation.ts';
import type { RunPartitions } from '../../domain/partition.ts';
import type { EpochMs } from '../../domain/time.ts';
import { partitionsOfRun, planWork, type Work } from '../assets/materialize.ts';
import { hashText } from '../assets/partitions/place.ts';
import { refuseMany } from '../assets/partitions/spread.ts';
import type { CreatedRun, CreateRuns, RunRequest } from '../runs/trigger.ts';
import type { AssetFactRow } from '../store/automation-facts.ts';
import { sqlState, type Tx } from '../store/connection.ts';
import { readRunnable } from '../store/run-workflow.ts';
import type { Decided } from './decide.ts';
import { nodeName } from './facts.ts';
import { type Failed, failedBy } from './round.ts';

/** Assets that a run's origin names. */
const MAX_TOLD = 100;

export interface MadeRuns {
  readonly created: readonly CreatedRun[];
  /** Run by asset and partition. */
  readonly runOf: ReadonlyMap<string, string>;
  readonly failed: readonly Failed[];
}

type Group = readonly Decided[];

const NOTHING = { created: [], runOf: new Map<string, string>() };

export async function makeRuns(
  tx: Tx,
  createRuns: CreateRuns,
  decided: readonly Decided[],
  assets: ReadonlyMap<string, AssetFactRow>,
  now: EpochMs,
): Promise<MadeRuns> {
  const asked = decided.filter(({ decision }) => decision === 'requested');
  const isMadeHere = ({ subject }: Decided) => assets.get(subject.key)?.[1] === true;
  const made = asked.filter(isMadeHere);
  const failed: Failed[] = asked
    .filter((one) => !isMadeHere(one))
    .map(({ subject: { key } }) => ({ key, message: 'no code here makes it' }));
  if (made.length === 0) return { ...NOTHING, failed };
  const keys = [...new Set(made.map(({ subject }) => subject.key))];
  const scope = { downstream: false, skipForeign: false };
  let work: Work;
  try {
    work = await planWork(tx, keys, scope, now);
  } catch (error) {
    if (sqlState(error) !== undefined) throw error;
    return { ...NOTHING, failed: [...failed, ...keys.map((key) => failedBy(key, error))] };
  }
  const own = await readRunnable(tx, keys);
  const requests: RunRequest[] = [];
  const groups: Group[] = [];
  for (const group of groupsOf(made, work)) {
    try {
      requests.push(await requestOf(group, work, own));
      groups.push(group);
    } catch (error) {
      // A statement that failed has ended the transaction: the whole round is done again.
      if (sqlState(error) !== undefined) throw error;
      failed.push(...group.map(({ subject: { key } }) => failedBy(key, error)));
    }
  }
  const others = requests.flatMap(({ workflow }) => (own.has(workflow) ? [] : [workflow]));
  const shared = others.length === 0 ? own : await readRunnable(tx, others);
  const created = await createRuns(
    tx,
    requests.map((request) => {
      const workflow = own.get(request.workflow) ?? shared.get(request.workflow);
      return { ...request, maxActiveRuns: workflow?.maxActiveRuns ?? null };
    }),
  );
  const runOf = new Map(
    groups.flatMap((group, index) =>
      group.map(({ subject: { key, partition } }): [string, string] => [
        nodeName(key, partition),
        created[index]?.run.id ?? '',
      ]),
    ),
  );
  return { created, runOf, failed };
}

/** What is connected by upstreams that the same round asks for; and all partitions of one whose code makes a range. */
function groupsOf(made: readonly Decided[], work: Work): readonly Group[] {
  const byAsset = Map.groupBy(made, ({ subject }) => subject.key);
  const leader = new Map<Decided, Decided>();
  const find = (one: Decided): Decided => {
    let at = one;
    for (let next = leader.get(at); next && next !== at; next = leader.get(at)) at = next;
    leader.set(one, at);
    return at;
  };
  const unite = (a: Decided, b: Decided) => leader.set(find(a), find(b));
  for (const [key, of] of byAsset) {
    const [first] = of;
    if (first && work.handlesRange(key)) for (const one of of) unite(one, first);
  }
  for (const one of made) {
    for (const upstream of one.subject.upstreams) {
      if (!one.joins.includes(upstream.key)) continue;
      for (const above of byAsset.get(upstream.key) ?? []) {
        const { partition } = above.subject;
        const isNeeded =
          upstream.partitions === null ||
          partition === null ||
          upstream.partitions.includes(partition);
        if (isNeeded) unite(one, above);
      }
    }
  }
  return [...Map.groupBy(made, find).values()];
}

async function requestOf(
  group: Group,
  work: Work,
  own: Awaited<ReturnType<typeof readRunnable>>,
): Promise<RunRequest> {
  const keys = [...new Set(group.map(({ subject }) => subject.key))];
  const partitions: Record<string, string[]> = {};
  for (const { subject } of group) {
    if (subject.partition === null) continue;
    const known = partitions[subject.key];
    if (known) known.push(subject.partition);
    else partitions[subject.key] = [subject.partition];
  }
  refuseMany(partitions, work.handlesRange);
  const [first = ''] = keys;
  const alone = keys.length === 1 ? own.get(first) : undefined;
  const version = alone
    ? { workflow: first, versionId: alone.versionId }
    : await work.versionOf(keys);
  return {
    ...version,
    ...{ maxActiveRuns: null, parameters: {}, trigger: 'asset' },
    idempotencyKey: keyOf(group),
    origin: { kind: 'automation', assets: group.slice(0, MAX_TOLD).map(toCause) },
    ...dated(partitions, keys, work),
  };
}

/** The data interval of a run is that of its last asset: what lies above it may be cut finer. */
function dated(partitions: RunPartitions, keys: readonly string[], work: Work) {
  const cut = keys.filter((key) => partitions[key]);
  const key = cut.at(-1) ?? '';
  return partitionsOfRun(partitions, work.definitions.get(key) ?? null, key);
}

function toCause({ subject, reason }: Decided): AutomationCause {
  return { asset: subject.key, partition: subject.partition, message: reason.message };
}

/** Each request of an asset has a number, so that the same one never makes two runs. */
function keyOf(group: Group): string {
  const names = group.map(
    ({ subject: { key, partition, memory }, cause }) =>
      `${nodeName(key, partition)}\n${memory.requests + 1}\n${cause}`,
  );
  return `automation:${hashText(names.sort().join('\n'))}`;
}
