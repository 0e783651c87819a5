/** What a workflow is started by beside its schedule: ends of other workflows' runs, new versions of assets. */
import {
  type OnCondition,
  type OnDefinition,
  WHILE_PAUSED,
  type WhilePaused,
} from '../../domain/origin.ts';
import { DefinitionError, inDefinition, oneOf, optional, type Read } from './options.ts';

interface Named {
  readonly name: string;
}

/** A run of the workflow that ended; `succeeded` unless told, `any` for whatever end. */
export interface RunCondition {
  readonly workflow: string | Named;
  readonly state?: 'succeeded' | 'failed' | 'any';
}

/** A new version of the asset. */
export interface AssetCondition {
  readonly asset: string | Named;
}

export type Condition = RunCondition | AssetCondition;

/**
 * A list, or `{ any: […] }`: each condition that comes true starts a run. `{ all: […] }`: a run is started when all
 * have come true since the last one.
 */
export type On =
  | readonly Condition[]
  | ({ readonly any: readonly Condition[] } & OnOptions)
  | ({ readonly all: readonly Condition[] } & OnOptions);

export interface OnOptions {
  /**
   * What becomes of what happens while the workflow is paused. `latest` (unless told): when it is unpaused, one run
   * for the newest; the others are skipped. `all`: a run for each, up to 1,000. `skip`: none. What was skipped stands
   * among the workflow's expected runs.
   */
  readonly whilePaused?: WhilePaused;
}

const MAX_CONDITIONS = 50;
const STATE = oneOf('succeeded', 'failed', 'any');
const readWhilePaused = optional(oneOf(...WHILE_PAUSED));

export const readOn: Read<OnDefinition | null> = (value) => {
  if (value === undefined || value === null) return null;
  const { match, list, whilePaused } = matchOf(value);
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_CONDITIONS) {
    throw new DefinitionError(`must be a list of 1 to ${MAX_CONDITIONS} conditions`);
  }
  const conditions = list.map((one, index) =>
    inDefinition(`${index + 1}.`, () => readCondition(one)),
  );
  return { match, conditions, ...(whilePaused === null ? {} : { whilePaused }) };
};

interface Matched {
  readonly match: OnDefinition['match'];
  readonly list: unknown;
  readonly whilePaused: WhilePaused | null;
}

function matchOf(value: unknown): Matched {
  if (Array.isArray(value)) return { match: 'any', list: value, whilePaused: null };
  const given = (typeof value === 'object' && value !== null ? value : {}) as Record<
    string,
    unknown
  >;
  const { whilePaused, ...lists } = given;
  const [match, ...others] = Object.keys(lists);
  if (others.length === 0 && (match === 'any' || match === 'all')) {
    const read = inDefinition('whilePaused', () => readWhilePaused(whilePaused));
    return { match, list: lists[match], whilePaused: read };
  }
  throw new DefinitionError('must be a list of conditions, { any: […] } or { all: […] }');
}

function readCondition(value: unknown): OnCondition {
  const given = (typeof value === 'object' && value !== null ? value : {}) as Record<
    string,
    unknown
  >;
  const unknown = Object.keys(given).find((key) => !['workflow', 'state', 'asset'].includes(key));
  if (unknown !== undefined) throw new DefinitionError(`unknown option "${unknown}"`);
  if (given['asset'] !== undefined && given['workflow'] === undefined) {
    if (given['state'] !== undefined) throw new DefinitionError('an asset has no state');
    return { kind: 'asset', asset: nameOf(given['asset'], 'asset') };
  }
  if (given['workflow'] === undefined || given['asset'] !== undefined) {
    throw new DefinitionError('must be { workflow, state } or { asset }');
  }
  return {
    kind: 'run',
    workflow: nameOf(given['workflow'], 'workflow'),
    state: STATE(given['state'] ?? 'succeeded'),
  };
}

function nameOf(value: unknown, what: string): string {
  const name = typeof value === 'object' && value !== null && 'name' in value ? value.name : value;
  if (typeof name === 'string' && name !== '') return name;
  throw new DefinitionError(`${what}: must be a name, or what defines it`);
}
