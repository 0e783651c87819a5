/** `check(…)`: a check that assets list in their `checks`, or one that stands by itself and names its asset. */
import type { Asset } from './asset.ts';
import { readKey } from './asset-key.ts';
import {
  CHECK_TIMEOUT_MS,
  type Check,
  type CheckSettings,
  type CheckWork,
  checkReaders,
  readWork,
} from './check.ts';
import { aboutOf, DEFINITION, type Definition, isDefinition, stackHere } from './definition.ts';
import { DefinitionError, inDefinition, name as readName, readOptions } from './options.ts';
import { retryRules } from './retry-rule.ts';
import { scheduleOf } from './schedule.ts';
import {
  type AttemptOptions,
  attemptReaders,
  type JobOptions,
  jobReaders,
  taskDefinition,
} from './task-options.ts';

/** A check of an asset of any file, one that is made elsewhere included. */
export interface OwnCheckOptions<T> extends CheckSettings, JobOptions, AttemptOptions {
  readonly asset: Asset<T> | string;
}

/**
 * Defines a check. With `asset` it is a definition of its own: it runs whenever an agent that knows it makes the
 * asset, on its `schedule` if it has one, and when it is asked for. Without, assets name it: `checks: [notEmpty]`.
 */
export function check<T>(name: string, options: OwnCheckOptions<T>, run: CheckWork<T>): Definition;
export function check<T>(name: string, options: CheckSettings, run: CheckWork<T>): Check<T>;
export function check<T>(
  name: string,
  options: CheckSettings | OwnCheckOptions<T>,
  run: CheckWork<T>,
): Check<T> | Definition {
  return inDefinition(`check ${JSON.stringify(name)}`, () => {
    if (typeof options === 'object' && options !== null && 'asset' in options) {
      return ownCheck(name, options, run as unknown);
    }
    const settings = readOptions(options, checkReaders);
    return { name: readName(name), ...settings, run: readWork(run) as CheckWork<T> };
  });
}

function ownCheck(name: string, options: object, run: unknown): Definition {
  const read = readOptions(options, {
    ...checkReaders,
    ...jobReaders,
    // Its `timeout` is that of its attempts as well.
    ...attemptReaders,
    asset: (asset: unknown) => readKey(isDefinition(asset) ? asset.name : asset),
  });
  const { asset, blocking, severity } = read;
  const bound = {
    ...{ name: readName(name), blocking, severity, run: readWork(run), fold: null },
    timeoutMs: read.timeout ?? CHECK_TIMEOUT_MS,
  };
  const key = `${asset}:${bound.name}`;
  if (key.length > MAX_NAME) {
    throw new DefinitionError(`the asset's key and its name have at most ${MAX_NAME} characters`);
  }
  return {
    [DEFINITION]: true,
    name: key,
    described: {
      name: key,
      kind: 'asset',
      ...aboutOf(read),
      schedule: scheduleOf(read),
      parameters: null,
      queue: read.queue,
      maxActiveRuns: read.maxActiveRuns,
      tasks: [taskDefinition(key, [], read)],
      asset: null,
      check: { asset, name: bound.name, blocking, severity },
    },
    handlers: new Map([[key, bound.run]]),
    parse: null,
    retryRules: retryRules([[key, read]]),
    checks: [bound],
    inputs: [],
    madeAt: stackHere(),
  };
}

const MAX_NAME = 250;
