/**
 * When an asset is to be made, declared: `automation: eager()`, `onMissing()`, `onCron('0 6 * * *')`, or any
 * composition. A condition is made of operands by `all`, `any`, `not` and `since`; what each of them means is in
 * `domain/automation.ts`.
 */
import type {
  AutomationCondition,
  AutomationDefinition,
  CronOfCondition,
  PlainOperand,
  UpstreamChoice,
  UpstreamOperand,
} from '../../domain/automation.ts';
import { SignalboxError } from '../../domain/errors.ts';
import {
  MAX_PARTITIONS,
  MAX_PER_ROUND,
  readCondition,
  readAutomation as readRegistered,
} from '../automation/condition.ts';
import { readKey } from './asset-key.ts';
import {
  DefinitionError,
  flag,
  integer,
  optional,
  type Read,
  readOptions,
  spanMs,
} from './options.ts';

const CONDITION = Symbol.for('signalbox.automation-condition');

/** A condition; `all(…)`, `any(…)` and `not(…)` put several together. */
export interface AutomationRule {
  readonly [CONDITION]: true;
  /** As it is registered. */
  readonly json: AutomationCondition;
  /** True from the moment that this comes true until `reset` is true. */
  since(reset: AutomationRule): AutomationRule;
  /** True in the look at which this is true and was not before. */
  newlyTrue(): AutomationRule;
}

/** Which upstreams an operand is about: all of them, unless told. Assets, or their keys. */
export interface UpstreamOptions {
  readonly only?: readonly ({ readonly key: string } | string)[];
  readonly ignore?: readonly ({ readonly key: string } | string)[];
}

export interface CronConditionOptions {
  /** IANA name; UTC unless told. */
  readonly timezone?: string;
}

export interface AutomationOptions {
  readonly condition: AutomationRule;
  /** How long it may be held back before that is told; a day unless told. */
  readonly tellAfter?: string | number;
  /**
   * Of a partitioned asset: how many of the newest partitions are looked at, or `all`. The newest one unless told, all
   * for `onMissing()`. A partition that was held back is looked at until it is made, however old it grows.
   */
  readonly partitions?: number | 'all';
  /** Partitions that automation has under way at a time; 20 unless told. */
  readonly maxPartitionsPerRound?: number;
  /** False makes it also while an upstream is in progress or has failed. */
  readonly waitForUpstreams?: boolean;
}

function rule(given: AutomationCondition): AutomationRule {
  const json = checked(given);
  const self: AutomationRule = {
    [CONDITION]: true,
    json,
    since: (reset) => since(self, reset),
    newlyTrue: () => rule({ kind: 'newly-true', of: json }),
  };
  return self;
}

/** Limits and crons are checked where the condition is made, so that the fault is told there. */
function checked(json: AutomationCondition): AutomationCondition {
  try {
    return readCondition(json, json.kind);
  } catch (error) {
    throw new DefinitionError(error instanceof SignalboxError ? (error.detail ?? '') : `${error}`);
  }
}

function jsonOf(value: unknown, place: string): AutomationCondition {
  if (isRule(value)) return value.json;
  const hint = typeof value === 'function' ? ': call it, such as missing()' : '';
  throw new DefinitionError(`${place} must be a condition, such as eager()${hint}`);
}

function isRule(value: unknown): value is AutomationRule {
  return typeof value === 'object' && value !== null && CONDITION in value;
}

function listOf(kind: 'all' | 'any', of: readonly AutomationRule[], name?: string): AutomationRule {
  const conditions = of.map((one, index) => jsonOf(one, `${kind}: the ${index + 1}. argument`));
  return rule({ kind, of: conditions, ...(name === undefined ? {} : { name }) });
}

/** True while all of these are. */
export function all(...of: readonly AutomationRule[]): AutomationRule {
  return listOf('all', of);
}

/** True while one of these is. */
export function any(...of: readonly AutomationRule[]): AutomationRule {
  return listOf('any', of);
}

export function not(of: AutomationRule): AutomationRule {
  return rule({ kind: 'not', of: jsonOf(of, 'not') });
}

/** True from the moment that `trigger` comes true until `reset` is true. */
export function since(trigger: AutomationRule, reset: AutomationRule): AutomationRule {
  return rule({
    kind: 'since',
    trigger: jsonOf(trigger, 'since: the trigger'),
    reset: jsonOf(reset, 'since: the reset'),
  });
}

function choiceOf(options: UpstreamOptions = {}): UpstreamChoice {
  const keys = (list: UpstreamOptions['only']) =>
    list?.map((one) => readKey(typeof one === 'string' ? one : one?.key));
  const { only, ignore } = options;
  return {
    ...(only ? { only: keys(only) ?? [] } : {}),
    ...(ignore ? { ignore: keys(ignore) ?? [] } : {}),
  };
}

const upstream = (kind: UpstreamOperand) => (options?: UpstreamOptions) =>
  rule({ kind, ...choiceOf(options) });
const plain = (kind: PlainOperand) => () => rule({ kind });
const cronOf = (cron: string, { timezone = 'UTC' }: CronConditionOptions): CronOfCondition => ({
  cron,
  timezone,
});

/** An upstream has a version that is newer than what this was made from, or will be made in the same run. */
export const anyUpstreamUpdated = upstream('any-upstream-updated');
/** An upstream, or a partition of it that is needed, was never made. */
export const anyUpstreamMissing = upstream('any-upstream-missing');
export const anyUpstreamInProgress = upstream('any-upstream-in-progress');
/** The last attempt to make an upstream failed. */
export const anyUpstreamFailed = upstream('any-upstream-failed');
/** The latest word of a check of an upstream, of severity `error`, is that it did not pass. */
export const anyUpstreamCheckFailed = upstream('any-upstream-check-failed');

/** It was never made. */
export const missing = plain('missing');
/** It is missing, and automation has not asked for it since it went missing. */
export const newlyMissing = plain('newly-missing');
/** It was made, by whomever, since the look before. */
export const newlyUpdated = plain('newly-updated');
/** The look before asked for it. */
export const newlyRequested = plain('newly-requested');
export const inProgress = plain('in-progress');
/** The last attempt to make it failed. */
export const failed = plain('failed');
/** Its code is another than that which made it. */
export const codeVersionChanged = plain('code-version-changed');
/** It should be made anew, for one of the causes that `staleCauses` names. */
export const stale = plain('stale');
/** Its data is older than its freshness policy allows. */
export const freshnessFailing = plain('freshness-failing');
/** The latest word of each of its checks of severity `error` is that it passed. */
export const checksPassed = plain('checks-passed');
/** The first look under this condition. */
export const initial = plain('initial');

/** A tick of the cron has passed since it was last asked for or made. */
export function cronTick(cron: string, options: CronConditionOptions = {}): AutomationRule {
  return rule({ kind: 'cron-tick', ...cronOf(cron, options) });
}

/** All upstreams were updated since the last tick of the cron, or will be in the same run. */
export function allUpstreamsUpdatedSince(
  cron: string,
  options: CronConditionOptions & UpstreamOptions = {},
): AutomationRule {
  return rule({
    kind: 'all-upstreams-updated-since',
    ...cronOf(cron, options),
    ...choiceOf(options),
  });
}

/** Made whenever it is missing or an upstream was updated, once no upstream is missing. */
export function eager(options: UpstreamOptions = {}): AutomationRule {
  return listOf(
    'all',
    [any(newlyMissing(), anyUpstreamUpdated(options)), not(anyUpstreamMissing(options))],
    'eager',
  );
}

/** Made wherever it is missing, once no upstream is missing. Of a partitioned asset all partitions, the oldest first. */
export function onMissing(options: UpstreamOptions = {}): AutomationRule {
  return listOf('all', [newlyMissing(), not(anyUpstreamMissing(options))], 'on-missing');
}

/** Made once for each tick of the cron, as soon as all upstreams were updated since. */
export function onCron(
  cron: string,
  options: CronConditionOptions & UpstreamOptions = {},
): AutomationRule {
  return listOf(
    'all',
    [cronTick(cron, options), allUpstreamsUpdatedSince(cron, options)],
    'on-cron',
  );
}

/** Reads the option `automation` of an asset. */
export const readAutomation: Read<AutomationDefinition | null> = (value) => {
  if (value === undefined || value === null) return null;
  if (typeof value === 'function') jsonOf(value, 'it');
  const read = readOptions(isRule(value) ? { condition: value } : value, {
    condition: (condition) => jsonOf(condition, 'it'),
    tellAfter: optional(spanMs),
    partitions: optional((given) =>
      given === 'all' ? MAX_PARTITIONS : integer(1, MAX_PARTITIONS, 1)(given),
    ),
    maxPartitionsPerRound: optional(integer(1, MAX_PER_ROUND, 1)),
    waitForUpstreams: flag(true),
  });
  const { condition, tellAfter, partitions, maxPartitionsPerRound, waitForUpstreams } = read;
  return readRegistered({
    condition,
    waitForUpstreams,
    ...(tellAfter === null ? {} : { tellAfterMs: tellAfter }),
    ...(partitions === null ? {} : { partitions }),
    ...(maxPartitionsPerRound === null ? {} : { maxPartitionsPerRound }),
  });
};
