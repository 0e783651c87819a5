/**
 * Assets that a task of a workflow makes and reads. What it returns for an asset with an IO manager or with checks goes
 * through them, as the value of an asset with code of its own does; what it reads of others (`ctx.load`) is recorded
 * with what it makes, so that a fallback spreads and staleness is known.
 */
import type { AssetOutcome, Assignment, PartitionOutcome } from '../../domain/agent-protocol.ts';
import type { InputVersion } from '../../domain/partition.ts';
import { SPILL_BYTES } from '../../domain/result.ts';
import { newestAt } from '../assets/partitions/of-task.ts';
import { producedValue } from '../assets/produced-value.ts';
import { readKey } from '../define/asset-key.ts';
import type { LoadOptions } from '../define/context.ts';
import type { Definition } from '../define/definition.ts';
import { isStream } from '../define/io.ts';
import { ioIn } from '../define/io-environment.ts';
import { checkedRange } from './asset-partition.ts';
import { keepRange } from './asset-range.ts';
import { type AssetCalls, readUpstream, refuse } from './asset-run.ts';
import { allChecks, keepVersion } from './asset-version.ts';
import { plainJson } from './encode.ts';
import { spill } from './results/spill.ts';
import type { RunningTask } from './running-task.ts';

/** What a task has read, until it ends. */
const consumed = new WeakMap<RunningTask, InputVersion[]>();

/**
 * The value that an asset has for the task: of the same partition where the run is of one, else all by key.
 * @throws Error for an asset that the task does not name in `consumes`
 */
export async function loadConsumed(
  task: RunningTask,
  calls: AssetCalls,
  definition: Definition,
  asset: unknown,
  { partition }: LoadOptions = {},
): Promise<unknown> {
  const key = readKey(typeof asset === 'string' ? asset : (asset as { key?: unknown })?.key);
  const described = taskOf(task.assignment, definition);
  if (!described?.consumes?.includes(key)) {
    throw new Error(`the task does not read ${key}: name it in "consumes"`);
  }
  const { runId, taskKey, partition: own } = task.assignment;
  const [made] = described.produces ?? [];
  // Without an asset of its own it reads the very partitions that the run is of.
  const downstream = partition === undefined ? (made ?? (own ? key : taskKey)) : key;
  const of = partition ?? (made === undefined ? undefined : await newestOf(task, calls, made));
  const reply = await calls.assetInput(runId, downstream, key, of);
  const found = await readUpstream(calls, key, reply, task.signal);
  consumed.set(task, [...(consumed.get(task) ?? []), ...found.versions]);
  return found.value;
}

/** The partition that a run without partitions makes: the newest at the end of its interval. */
async function newestOf(task: RunningTask, calls: AssetCalls, asset: string) {
  const { partition, dataInterval } = task.assignment;
  const definition = (await calls.definition(asset))?.described.asset?.partitions ?? null;
  if (partition || definition === null) return undefined;
  const end = dataInterval === null ? calls.clock.now() : Date.parse(dataInterval.end);
  return newestAt(definition, end) ?? undefined;
}

function taskOf({ item, taskKey }: Assignment, { described }: Definition) {
  const key = item?.task ?? taskKey;
  return described.tasks.find((one) => one.key === key);
}

/**
 * Keeps what the task returned of the assets that it makes; what was recorded is left in `task.asset`.
 * @returns the result of the task: what it returned, but for rows that came as a stream
 */
export async function keepProduced(
  task: RunningTask,
  calls: AssetCalls,
  definition: Definition,
  result: unknown,
): Promise<unknown> {
  const { produces = [] } = taskOf(task.assignment, definition) ?? {};
  const outcomes: Record<string, AssetOutcome> = {};
  const told: Record<string, unknown> = {};
  let streamed = false;
  for (const key of produces) {
    const value = producedValue(result, key, produces);
    const kept = await keepOne(task, calls, key, value, produces.length > 1);
    if (kept?.outcome) outcomes[key] = kept.outcome;
    told[key] = isStream(value) ? kept?.result : value;
    streamed ||= isStream(value);
  }
  if (Object.keys(outcomes).length > 0) {
    task.asset = { metadata: {}, checks: [], produced: outcomes };
  }
  for (const [key, { checks }] of Object.entries(outcomes)) refuse(checks, key);
  if (!streamed) return result;
  return produces.length === 1 ? told[produces[0] ?? ''] : told;
}

interface Kept {
  readonly outcome: AssetOutcome | null;
  readonly result?: unknown;
}

async function keepOne(
  task: RunningTask,
  calls: AssetCalls,
  key: string,
  value: unknown,
  several: boolean,
): Promise<Kept> {
  const inputs = consumed.get(task);
  const read = inputs ? { inputs } : {};
  const declared = await calls.definition(key);
  const io = ioIn(declared?.io ?? null, task.assignment.environment, key);
  const asset = declared && { ...declared, io };
  const checks = asset ? await allChecks(calls, key, asset.checks) : [];
  if (!asset || (io === null && checks.length === 0) || value === null || value === undefined) {
    const apart = several ? await spillApart(task, calls, key, value) : {};
    const plain = { metadata: {}, checks: [], ...apart, ...read };
    return { outcome: inputs || 'value' in apart ? plain : null };
  }
  const keys = task.assignment.partition?.keys ?? [await newestOf(task, calls, key)];
  const [only] = keys;
  if (keys.length < 2 || only === undefined) {
    const {
      metadata,
      checks: said,
      stored,
      result,
    } = await keepVersion(task, calls, asset, only, value);
    const own = only === undefined ? {} : { partitions: { [only]: stored ? { stored } : {} } };
    const outcome = { metadata, checks: said, ...(stored ? { stored } : {}), ...own, ...read };
    return { outcome, result };
  }
  const names = keys.flatMap((one) => one ?? []);
  checkedRange(names, value);
  const published: Record<string, PartitionOutcome> = {};
  const kept = await keepRange(task, calls, asset, names, value, (one, of) => {
    published[one] = of;
    const broken = { metadata: {}, checks: [], partitions: published, ...read };
    const outcome = { ...broken, published: Object.keys(published) };
    task.asset = { metadata: {}, checks: [], produced: { [key]: outcome } };
  });
  const { checks: said, partitions } = kept;
  const more = kept.published.length === 0 ? {} : { published: kept.published };
  return {
    outcome: { metadata: {}, checks: said, partitions, ...more, ...read },
    result: kept.result,
  };
}

/** Of a task that makes several assets, each value is told by itself, since all of them together may lie elsewhere. */
async function spillApart(
  task: RunningTask,
  calls: AssetCalls,
  key: string,
  value: unknown,
): Promise<{ readonly value?: unknown }> {
  const { value: plain, json } = plainJson(value);
  if (json === null || json.length <= SPILL_BYTES) return { value: plain ?? null };
  return { value: await spill(calls, task.assignment, value, json, key) };
}
