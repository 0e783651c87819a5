/**
 * What assets of a branch are made from: the branch's own versions, and production's latest good ones of what the
 * branch did not make. Production's are told as such, and written down for the run. Nothing goes the other way.
 */
import type {
  AssetInputReply,
  AssetInputRequest,
  AssetValue,
} from '../../domain/agent-protocol.ts';
import { PRODUCTION, qualify } from '../../domain/environment.ts';
import type { Clock } from '../../domain/time.ts';
import { keysOfTask } from '../assets/partitions/of-task.ts';
import type { RunInfos } from '../runs/run-info.ts';
import type { Db } from '../store/connection.ts';
import { recordReads } from '../store/environment.ts';
import type { KnownEnvironments } from './known.ts';

export interface ReadInputs {
  /** @param of its task's key as the graph has it; the asset's key as the code knows it */
  input(
    environment: string,
    of: AssetInputRequest,
    own: (key: string) => Promise<AssetInputReply>,
  ): Promise<AssetInputReply>;
  value(
    environment: string,
    key: string,
    read: (key: string) => Promise<AssetValue | null>,
  ): Promise<AssetValue | null>;
}

export interface ReadInputDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly infos: RunInfos;
  readonly known: KnownEnvironments;
  /** What a task that makes `downstream` is given of `upstream`; `edge` is the upstream that the definition names. */
  assetInput(
    upstream: string,
    downstream: string,
    keys: readonly string[] | null,
    edge: string,
  ): Promise<AssetInputReply>;
}

export function createReadInputs(deps: ReadInputDeps): ReadInputs {
  const mayRead = async (environment: string) =>
    (await deps.known.settings(environment))?.fallback === true;
  return {
    async input(environment, of, read) {
      const own = from(environment, await read(qualify(environment, of.assetKey)));
      const whole = own.values.length > 0 && own.missing.length === 0 && !own.many;
      if (whole || !(await mayRead(environment))) return own;
      const { runId, taskKey, assetKey, partition } = of;
      const partitions = deps.infos.get(runId)?.partitions ?? null;
      const keys = partition === undefined ? keysOfTask(partitions, taskKey) : [partition];
      const edge = qualify(environment, assetKey);
      const base = from(PRODUCTION, await deps.assetInput(assetKey, taskKey, keys, edge));
      const merged = merge(own, base);
      const reads = merged.values.flatMap(({ environment: where, id, partition: of = null }) =>
        where === PRODUCTION && id !== undefined
          ? [{ asset: assetKey, partition: of, versionId: id }]
          : [],
      );
      if (reads.length > 0) {
        await recordReads(deps.db, environment, runId, reads, new Date(deps.clock.now()));
      }
      return merged;
    },
    async value(environment, key, read) {
      const own = await read(qualify(environment, key));
      if (own !== null) return { ...own, environment };
      if (!(await mayRead(environment))) return null;
      const base = await read(key);
      return base && { ...base, environment: PRODUCTION };
    },
  };
}

function from(environment: string, reply: AssetInputReply): AssetInputReply {
  return { ...reply, values: reply.values.map((value) => ({ ...value, environment })) };
}

/** The branch's own versions, and of the partitions that it has none of, production's. */
function merge(own: AssetInputReply, base: AssetInputReply): AssetInputReply {
  if (own.values.length === 0) return base.values.length === 0 ? own : base;
  const made = new Set(own.values.map(({ partition }) => partition ?? ''));
  const added = base.values.filter(({ partition }) => !made.has(partition ?? ''));
  const there = new Set(added.map(({ partition }) => partition ?? ''));
  return {
    ...own,
    values: [...own.values, ...added],
    missing: own.missing.filter((key) => !there.has(key)),
  };
}
