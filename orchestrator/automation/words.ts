/** Conditions in words: as code has them, and each operand by name. */
import type {
  AutomationCondition,
  CronOfCondition,
  UpstreamChoice,
} from '../../domain/automation.ts';
import type { EpochMs } from '../../domain/time.ts';

const PRESETS: Readonly<Record<string, string>> = {
  eager: 'eager',
  'on-missing': 'onMissing',
  'on-cron': 'onCron',
};

const LABELS: Readonly<Record<string, string>> = {
  all: 'all of these',
  any: 'any of these',
  not: 'not',
  since: 'since',
  'newly-true': 'newly true',
  'cron-tick': 'a tick of the cron has passed',
  'all-upstreams-updated-since': 'all upstreams updated since the tick',
  'any-upstream-updated': 'any upstream updated',
  'any-upstream-missing': 'any upstream missing',
  'any-upstream-in-progress': 'any upstream in progress',
  'any-upstream-failed': 'any upstream failed',
  'any-upstream-check-failed': 'a check of an upstream failed',
  missing: 'missing',
  'newly-missing': 'newly missing',
  'newly-updated': 'newly updated',
  'newly-requested': 'newly requested',
  'in-progress': 'in progress',
  failed: 'failed',
  'code-version-changed': 'code changed',
  stale: 'stale',
  'freshness-failing': 'freshness failing',
  'checks-passed': 'checks passed',
  initial: 'first look',
};

/** An operand in a few words. */
export function labelOf(condition: AutomationCondition): string {
  const label = LABELS[condition.kind] ?? condition.kind;
  if (condition.kind === 'cron-tick' || condition.kind === 'all-upstreams-updated-since') {
    return `${label} (${cronText(condition)})`;
  }
  if (condition.kind === 'all' || condition.kind === 'any') {
    return PRESETS[condition.name ?? ''] ?? label;
  }
  const choice = choiceText(condition as UpstreamChoice);
  return choice === '' ? label : `${label} (${choice})`;
}

function cronText({ cron, timezone }: CronOfCondition): string {
  return timezone === 'UTC' ? cron : `${cron} ${timezone}`;
}

function choiceText({ only, ignore }: UpstreamChoice): string {
  if (only) return `only ${only.join(', ')}`;
  return ignore ? `not ${ignore.join(', ')}` : '';
}

/** The condition as code has it: `all(cronTick('0 6 * * *'), not(missing()))`. */
export function textOf(condition: AutomationCondition): string {
  switch (condition.kind) {
    case 'all':
    case 'any': {
      const preset = PRESETS[condition.name ?? ''];
      if (preset) return `${preset}(${presetOptions(condition.of)})`;
      return `${condition.kind}(${condition.of.map(textOf).join(', ')})`;
    }
    case 'not':
      return `not(${textOf(condition.of)})`;
    case 'newly-true':
      return `${textOf(condition.of)}.newlyTrue()`;
    case 'since':
      return `since(${textOf(condition.trigger)}, ${textOf(condition.reset)})`;
    default: {
      const name = condition.kind.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
      return `${name}(${optionsText(condition)})`;
    }
  }
}

/** What a preset was given is what the first of its operands with options has. */
function presetOptions(of: readonly AutomationCondition[]): string {
  return of.map(optionsOf).find((text) => text !== '') ?? '';
}

function optionsOf(condition: AutomationCondition): string {
  if ('of' in condition && Array.isArray(condition.of)) return presetOptions(condition.of);
  if (condition.kind === 'not') return optionsOf(condition.of);
  return optionsText(condition);
}

function optionsText(condition: AutomationCondition): string {
  const { cron, timezone, only, ignore } = condition as Partial<CronOfCondition> & UpstreamChoice;
  const options = [
    ...(timezone === undefined || timezone === 'UTC' ? [] : [`timezone: '${timezone}'`]),
    ...(only ? [`only: ${listText(only)}`] : []),
    ...(ignore ? [`ignore: ${listText(ignore)}`] : []),
  ];
  return [
    ...(cron === undefined ? [] : [`'${cron}'`]),
    ...(options.length === 0 ? [] : [`{ ${options.join(', ')} }`]),
  ].join(', ');
}

function listText(keys: readonly string[]): string {
  return `[${keys.map((key) => `'${key}'`).join(', ')}]`;
}

/** `2026-11-24 06:00:05 UTC`. */
export function moment(at: EpochMs): string {
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
