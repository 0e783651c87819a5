import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigError } from './config.ts';

const USUAL = 'workflows';

/**
 * The folders that hold workflow files: those that were named, else `workflows` where there is one.
 * @throws ConfigError that tells all named ones that are none
 */
export function workflowFolders(named: readonly string[]): readonly string[] {
  if (named.length === 0) return [resolve(USUAL)].filter(existsSync);
  const faults = named
    .filter((path) => !statSync(path, { throwIfNoEntry: false })?.isDirectory())
    .map((path) => `SIGNALBOX_WORKFLOWS: ${path} is not a folder; create it, or name another`);
  if (faults.length > 0) throw new ConfigError(faults);
  return named;
}
