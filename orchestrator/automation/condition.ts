/**
 * Reads conditions: what code wrote, and what agents send. Both are checked alike, as a tree of limited size, and each
 * fault is told with its place in the tree (`all[1].since.trigger`).
 */
import {
  type AutomationCondition,
  type AutomationDefinition,
  PLAIN_OPERANDS,
  type PlainOperand,
  TELL_AFTER_MS,
  UPSTREAM_OPERANDS,
  type UpstreamChoice,
  type UpstreamOperand,
} from '../../domain/automation.ts';
import { SignalboxError } from '../../domain/errors.ts';
import { nextInstant } from '../schedule/cron.ts';

const MAX_DEPTH = 20;
const MAX_NODES = 200;
const MAX_KEYS = 1_000;
const MAX_KEY_LENGTH = 1_000;
const MAX_CRON_LENGTH = 200;
/** Any moment: a cron that never comes after it never comes. */
const LONG_AGO = Date.UTC(2020, 0, 1);
/** Partitions of one asset that automation looks at. */
export const MAX_PARTITIONS = 10_000;
export const MAX_PER_ROUND = 1_000;
const PER_ROUND = 20;
const MAX_TELL_AFTER_MS = 366 * 86_400_000;

type Fields = Readonly<Record<string, unknown>>;

/** Counts nodes over the whole tree. */
interface Budget {
  nodes: number;
}

/** @throws SignalboxError `invalid-request` that says where what is wrong */
export function readAutomation(value: unknown): AutomationDefinition {
  const fields = fieldsOf(value, 'automation');
  const condition = readCondition(fields['condition'], 'automation');
  const whole = (name: string, unlessTold: number, most: number) => {
    const given = fields[name] ?? unlessTold;
    if (Number.isInteger(given) && Number(given) >= 1 && Number(given) <= most)
      return Number(given);
    throw fault(`automation.${name}`, `must be a whole number from 1 to ${most}`);
  };
  const waits = fields['waitForUpstreams'] ?? true;
  if (typeof waits !== 'boolean') {
    throw fault('automation.waitForUpstreams', 'must be true or false');
  }
  return {
    condition,
    tellAfterMs: whole('tellAfterMs', TELL_AFTER_MS, MAX_TELL_AFTER_MS),
    partitions: whole('partitions', scopeOf(condition), MAX_PARTITIONS),
    maxPartitionsPerRound: whole('maxPartitionsPerRound', PER_ROUND, MAX_PER_ROUND),
    waitForUpstreams: waits,
  };
}

/** What is missing is made wherever it is missing; all else concerns the newest partition. */
function scopeOf(condition: AutomationCondition): number {
  const isOnMissing = nodesOf(condition).some(
    (node) => node.kind === 'all' && node.name === 'on-missing',
  );
  return isOnMissing ? MAX_PARTITIONS : 1;
}

/** @throws SignalboxError `invalid-request` that says where what is wrong */
export function readCondition(value: unknown, place: string): AutomationCondition {
  return read(value, place, 1, { nodes: 0 });
}

function read(value: unknown, place: string, depth: number, budget: Budget): AutomationCondition {
  budget.nodes += 1;
  if (depth > MAX_DEPTH) throw fault(place, `is deeper than ${MAX_DEPTH} levels`);
  if (budget.nodes > MAX_NODES) throw fault(place, `the condition has over ${MAX_NODES} parts`);
  const fields = fieldsOf(value, place);
  const { kind } = fields;
  const child = (name: string, at = `${place}.${name}`) =>
    read(fields[name], at, depth + 1, budget);
  switch (kind) {
    case 'all':
    case 'any': {
      const { of, name } = fields;
      if (!Array.isArray(of) || of.length === 0)
        throw fault(place, `${kind} needs at least one condition`);
      return {
        kind,
        of: of.map((one, index) => read(one, `${place}.${kind}[${index}]`, depth + 1, budget)),
        ...(typeof name === 'string' ? { name: name.slice(0, 100) } : {}),
      };
    }
    case 'not':
    case 'newly-true':
      return { kind, of: child('of', `${place}.${kind}`) };
    case 'since':
      return {
        kind,
        trigger: child('trigger', `${place}.since.trigger`),
        reset: child('reset', `${place}.since.reset`),
      };
    case 'cron-tick':
      return { kind, ...readCron(fields, place) };
    case 'all-upstreams-updated-since':
      return { kind, ...readCron(fields, place), ...readChoice(fields, place) };
    default:
      return readOperand(fields, place);
  }
}

function readOperand(fields: Fields, place: string): AutomationCondition {
  const { kind } = fields;
  const plain = PLAIN_OPERANDS.find((one): one is PlainOperand => one === kind);
  if (plain !== undefined) return { kind: plain };
  const upstream = UPSTREAM_OPERANDS.find((one): one is UpstreamOperand => one === kind);
  if (upstream !== undefined) return { kind: upstream, ...readChoice(fields, place) };
  throw fault(place, `${JSON.stringify(kind)} is no condition`);
}

function readCron(fields: Fields, place: string): { cron: string; timezone: string } {
  const { cron, timezone = 'UTC' } = fields;
  if (typeof cron !== 'string' || cron.length > MAX_CRON_LENGTH) {
    throw fault(place, 'needs a cron expression, such as "0 6 * * *"');
  }
  if (typeof timezone !== 'string')
    throw fault(place, 'timezone: must be a name such as "Europe/Berlin"');
  try {
    if (nextInstant({ cron, timezone }, LONG_AGO) === null)
      throw new Error(`"${cron}" never comes`);
  } catch (error) {
    throw fault(place, wordsOf(error));
  }
  return { cron, timezone };
}

function wordsOf(error: unknown): string {
  if (error instanceof SignalboxError) return error.detail ?? error.message;
  return error instanceof Error ? error.message : String(error);
}

function readChoice(fields: Fields, place: string): UpstreamChoice {
  const choice: { only?: readonly string[]; ignore?: readonly string[] } = {};
  for (const name of ['only', 'ignore'] as const) {
    const given = fields[name];
    if (given === undefined || given === null) continue;
    if (!Array.isArray(given) || given.length > MAX_KEYS || !given.every(isKey)) {
      throw fault(`${place}.${name}`, 'must be a list of asset keys');
    }
    choice[name] = given;
  }
  if (choice.only && choice.ignore) throw fault(place, 'only and ignore exclude each other');
  return choice;
}

function isKey(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_KEY_LENGTH;
}

function fieldsOf(value: unknown, place: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw fault(place, 'must be a condition, such as eager()');
}

function fault(place: string, message: string): SignalboxError {
  return new SignalboxError('invalid-request', `${place}: ${message}`, [
    { path: `/${place.replaceAll('.', '/')}`, message },
  ]);
}

const known = new WeakMap<AutomationCondition, readonly AutomationCondition[]>();

/** All nodes of a condition, itself first. */
export function nodesOf(condition: AutomationCondition): readonly AutomationCondition[] {
  const before = known.get(condition);
  if (before) return before;
  const nodes = [condition];
  for (const node of nodes) nodes.push(...childrenOf(node));
  known.set(condition, nodes);
  return nodes;
}

function childrenOf(condition: AutomationCondition): readonly AutomationCondition[] {
  switch (condition.kind) {
    case 'all':
    case 'any':
      return condition.of;
    case 'not':
    case 'newly-true':
      return [condition.of];
    case 'since':
      return [condition.trigger, condition.reset];
    default:
      return [];
  }
}

/** What names a cron among those of a condition. */
export function cronName({ cron, timezone }: { cron: string; timezone: string }): string {
  return `${cron} ${timezone}`;
}

/** The crons that a condition names, each once. */
export function cronsOf(
  condition: AutomationCondition,
): readonly { readonly cron: string; readonly timezone: string }[] {
  const found = nodesOf(condition).flatMap((node) =>
    node.kind === 'cron-tick' || node.kind === 'all-upstreams-updated-since' ? [node] : [],
  );
  return [...new Map(found.map((one) => [cronName(one), one])).values()];
}

/** Whether an operand looks at an upstream. */
export function isChosen({ only, ignore }: UpstreamChoice, key: string): boolean {
  return only ? only.includes(key) : !(ignore?.includes(key) ?? false);
}

/**
 * Whether an upstream may hold the asset back: not where each operand that is about upstreams leaves it out. A
 * condition that says nothing of upstreams leaves none out.
 */
export function isConsidered(condition: AutomationCondition, key: string): boolean {
  const choices = nodesOf(condition).filter(isAboutUpstreams);
  return choices.length === 0 || choices.some((choice) => isChosen(choice, key));
}

function isAboutUpstreams(
  node: AutomationCondition,
): node is Extract<AutomationCondition, { kind: UpstreamOperand | 'all-upstreams-updated-since' }> {
  return node.kind === 'all-upstreams-updated-since' || needsUpstream(node);
}

/** Whether a node asks for some upstream: one that waits for all of them is content with none. */
export function needsUpstream(
  node: AutomationCondition,
): node is Extract<AutomationCondition, { kind: UpstreamOperand }> {
  return UPSTREAM_OPERANDS.some((kind) => kind === node.kind);
}
