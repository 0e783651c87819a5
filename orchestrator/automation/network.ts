/**
 * Who is made from whom, kept in memory: the edges under their epoch, and which workflows' tasks make which assets.
 * What only lineage from outside says is no upstream that automation waits for; what code declares is.
 */
import { append } from '../assets/order.ts';
import { readProducers } from '../store/automation-facts.ts';
import type { Tx } from '../store/connection.ts';
import { readLineageEpoch } from '../store/lineage.ts';
import { type MappedEdge, readMappedEdges } from '../store/staleness.ts';

export interface Network {
  /** Edges into an asset. */
  readonly into: ReadonlyMap<string, readonly MappedEdge[]>;
  readonly below: ReadonlyMap<string, readonly string[]>;
  readonly producers: ReadonlyMap<string, readonly string[]>;
}

/** Makes the function that reads the network, where it has changed. */
export function createNetwork(): (tx: Tx) => Promise<Network> {
  let kept: { readonly epoch: string; readonly network: Network } | undefined;
  return async (tx) => {
    const epoch = await readLineageEpoch(tx);
    if (kept?.epoch !== epoch) kept = { epoch, network: await read(tx) };
    return kept.network;
  };
}

async function read(tx: Tx): Promise<Network> {
  const [edges, made] = await Promise.all([readMappedEdges(tx), readProducers(tx)]);
  const below = new Map<string, string[]>();
  const producers = new Map<string, string[]>();
  for (const [upstream, downstream] of edges) append(below, upstream, downstream);
  for (const [asset, workflow] of made) append(producers, asset, workflow);
  return { into: Map.groupBy(edges, ([, downstream]) => downstream), below, producers };
}

/** These assets and all that they are made from. */
export function withUpstreams(
  keys: readonly string[] | ReadonlySet<string>,
  { into }: Network,
): ReadonlySet<string> {
  const all = new Set(keys);
  for (const key of keys) {
    for (const [upstream] of into.get(key) ?? []) all.add(upstream);
  }
  return all;
}

/** Automated assets that lie below these, by way of automated ones. */
export function automatedBelow(
  network: Network,
  keys: readonly string[],
  automated: ReadonlySet<string>,
): readonly string[] {
  const found = new Set<string>();
  const queue = [...keys];
  for (const key of queue) {
    for (const next of network.below.get(key) ?? []) {
      if (found.has(next) || !automated.has(next)) continue;
      found.add(next);
      queue.push(next);
    }
  }
  return [...found];
}
