/**
 * Results of earlier executions under the same key. Two executions that find nothing at the same time both run, and
 * the later result stays: the work of a cached task is repeatable by what a cache is (`ctx.once` is for what is not).
 */
import { createHash } from 'node:crypto';
import type { Assignment, ResultReply } from '../../../domain/agent-protocol.ts';
import { type CacheReply, type CacheRequest, isResultReference } from '../../../domain/result.ts';
import { parseDuration } from '../../../domain/time.ts';
import type { TaskLog } from '../../define/context.ts';
import type { Definition } from '../../define/definition.ts';
import type { CachedOptions, CacheRule } from '../../define/results.ts';
import { keepStep } from './keep.ts';
import { type ResolveCalls, resolveResult } from './resolve.ts';
import type { SpillCalls } from './spill.ts';

export interface CacheCalls extends SpillCalls, ResolveCalls {
  cache(request: CacheRequest): Promise<CacheReply>;
  result(runId: string, taskKey: string): Promise<ResultReply>;
}

/** A result in the form in which it is recorded. */
export class RecordedResult {
  readonly recorded: unknown;

  constructor(recorded: unknown) {
    this.recorded = recorded;
  }
}

const MAX_KEY_CHARACTERS = 1_000_000;

interface Cached {
  readonly assignment: Assignment;
  readonly calls: CacheCalls;
  readonly log: TaskLog;
}

/** @param given what the handler is given */
export async function runCached(
  of: Cached & { readonly definition: Definition; readonly rule: CacheRule },
  given: readonly [context: unknown, item?: unknown, index?: number],
  work: () => unknown,
): Promise<RecordedResult> {
  const { assignment, calls, log, rule } = of;
  const name = assignment.item?.task ?? assignment.taskKey;
  const key = rule.ofInputs
    ? await inputsOf(of, name, given[1])
    : checkKey(await rule.key(given[0], given[1], given[2]));
  const place = { name, hash: hashOf(rule.version, key) };
  const found = await look(of, place);
  if (found) return new RecordedResult(found.result);
  const { recorded } = await keepStep(calls, assignment, assignment.taskKey, await work());
  await store({ assignment, calls, log }, place, recorded, rule.expiresInMs);
  return new RecordedResult(recorded);
}

/** `ctx.cached`: a part of a flow's work. */
export async function cachedStep<T>(
  of: Cached,
  key: string,
  work: () => T | Promise<T>,
  { expires, version = '' }: CachedOptions,
): Promise<T> {
  const place = { name: key, hash: hashOf(String(version), key) };
  const found = await look(of, place);
  if (found) return (await resolveResult(of.calls, found.result)) as T;
  const { value, recorded } = await keepStep(of.calls, of.assignment, `cache ${key}`, await work());
  await store(of, place, recorded, expires === undefined ? null : parseDuration(expires));
  return value;
}

interface Place {
  readonly name: string;
  readonly hash: string;
}

async function look({ assignment, calls, log }: Cached, place: Place) {
  const { runId, taskKey, attempt } = assignment;
  const reply = await calls.cache({ op: 'get', runId, taskKey, attempt, ...place });
  if (reply.outcome !== 'hit') return null;
  log.info(`cached: the result of run ${reply.runId} is taken`, { cachedFrom: reply.runId });
  return reply;
}

/** A result that could not be kept for others is still a result. */
async function store(
  { assignment, calls, log }: Cached,
  place: Place,
  result: unknown,
  expiresInMs: number | null,
): Promise<void> {
  const { runId, taskKey, token } = assignment;
  try {
    await calls.cache({ op: 'put', runId, taskKey, token, ...place, result, expiresInMs });
  } catch (error) {
    log.warn(`the result was not cached: ${error}`);
  }
}

/** Parameters, and what the task comes after gave; content that lies elsewhere is told by its hash. */
async function inputsOf(
  { assignment, calls, definition }: Cached & { readonly definition: Definition },
  name: string,
  item: unknown,
): Promise<string> {
  const task = definition.described.tasks.find(({ key }) => key === name);
  const over = assignment.item?.over;
  const after = (task?.after ?? []).filter((key) => key !== over);
  const results = await Promise.all(after.map((key) => calls.result(assignment.runId, key)));
  return JSON.stringify([
    ...[sorted(assignment.parameters), sorted(item ?? null)],
    results.map(({ state, result }) => [state, sorted(result)]),
  ]);
}

/** Keys of objects in one order, and references without what differs from run to run. */
function sorted(value: unknown): unknown {
  if (isResultReference(value)) return value.sha256;
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, one]) => [key, sorted(one)]));
}

function checkKey(key: unknown): string {
  const parts: readonly unknown[] = Array.isArray(key) ? key : [key];
  const text = JSON.stringify(key) ?? '';
  if (parts.every((part) => typeof part === 'string') && text.length <= MAX_KEY_CHARACTERS)
    return text;
  throw new TypeError('the key of a cached result must be a text, or a list of texts');
}

function hashOf(version: string, key: string): string {
  return createHash('sha256')
    .update(JSON.stringify([version, key]))
    .digest('hex');
}
