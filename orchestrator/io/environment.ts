/** Places of environments beside production's: a folder of the directory, a table with the environment in its name. */
import { join } from 'node:path';
import { prefixOf } from '../../domain/environment.ts';
import { withHash } from './identifiers.ts';

/** No asset's folder begins with this sign. */
export function directoryIn(directory: string, environment: string): string {
  return join(directory, prefixOf(environment).slice(0, -1));
}

/** `orders` of `pr-123` is `orders__env_pr_123_` and a hash, so that no table of anybody else's has that name. */
export function tableIn(table: string, environment: string | null): string {
  if (environment === null) return table;
  return withHash(`${table}__env_${environment.replaceAll('-', '_')}`, `${table}~${environment}`);
}
