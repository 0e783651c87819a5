/**
 * Upstreams of a branch that it reads from production: what the branch did not make is no reason to hold anything
 * back while production has it, as long as the branch may read there. What production makes anew calls for nothing in
 * a branch.
 */
import { environmentOf, plainName } from '../../domain/environment.ts';
import type { Tx } from '../store/connection.ts';
import { readFallingBack } from '../store/environment.ts';

/** Names in production by stored name, of those assets of branches that may read there. */
export async function readableInProduction(
  tx: Tx,
  keys: ReadonlySet<string>,
): Promise<ReadonlyMap<string, string>> {
  const byEnvironment = Map.groupBy(keys, (key) => environmentOf(key) ?? '');
  byEnvironment.delete('');
  if (byEnvironment.size === 0) return new Map();
  const environments = await readFallingBack(tx, [...byEnvironment.keys()]);
  return new Map(
    environments.flatMap((environment) =>
      (byEnvironment.get(environment) ?? []).map((key) => [key, plainName(key)] as const),
    ),
  );
}
