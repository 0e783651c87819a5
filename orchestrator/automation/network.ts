/**
 * Who is made from whom, kept in memory: the edges under their epoch, and which workflows' tasks make which assets.
 * What only lineage from outside says is no upstream that automation waits for; what code declares is.
 */
import { append } from '../assets/order.ts';
import { type EdgeFact, readProducers } from '../store/automation-facts.ts';
import type { Tx } from '../store/connection.ts';
import { readLineageEpoch } from '../store/lineage.ts';
import { readMappedEdges } from '../store/staleness.ts';

export interface Network {
  /** Edges into an asset. */
  readonly into: ReadonlyMap<string, readonly EdgeFact[]>;
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
  const into = new Map<string, EdgeFact[]>();
  const below = new Map<string, string[]>();
  const producers = new Map<string, string[]>();
  for (const edge of edges) {
    const [upstream, downstream] = edge;
    const known = into.get(downstream);
    if (known) known.push(edge);
    else into.set(downstream, [edge]);
    append(below, upstream, downstream);
  }
  for (const [asset, workflow] of made) append(producers, asset, workflow);
  return { into, below, producers };
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
