/** Looking at assets without making them: checks of a stored value, and observations of data made elsewhere. */
import type { AssetValue } from '../../domain/agent-protocol.ts';
import { toRfc3339 } from '../../domain/time.ts';
import type { BoundCheck, Definition, Handler } from '../define/definition.ts';
import { isStream } from '../define/io.ts';
import type { Seen } from '../define/observe.ts';
import { checkStream, checkValue } from './asset-checks.ts';
import { loadObserved, loadValue } from './asset-value.ts';
import { allChecks, factsOf, subjectOf, type VersionCalls } from './asset-version.ts';
import { throughJson } from './encode.ts';
import type { RunningTask } from './running-task.ts';
import { runContext, type TaskCalls } from './task-context.ts';

export interface LookCalls extends TaskCalls, VersionCalls {
  assetValue(assetKey: string): Promise<AssetValue | null>;
}

/**
 * Runs checks over the value that an asset has now.
 * @returns what they said, as the run shows it
 */
export async function checkAsset(
  task: RunningTask,
  calls: LookCalls,
  definition: Definition,
): Promise<unknown> {
  const of = definition.described.check?.asset ?? definition.name;
  const named = task.assignment.parameters['checks'];
  const wanted = Array.isArray(named) ? new Set(named) : null;
  const all = definition.checks.filter(({ name }) => wanted === null || wanted.has(name));
  const checks = await checkStored(task, calls, of, all);
  task.asset = { mode: 'check', of, metadata: {}, checks };
  return Object.fromEntries(checks.map(({ name, passed }) => [name, passed]));
}

async function checkStored(
  task: RunningTask,
  calls: LookCalls,
  of: string,
  checks: readonly BoundCheck[],
) {
  const found = await calls.assetValue(of);
  const source = found === null ? await calls.definition(of) : undefined;
  const value =
    found === null
      ? source && (await loadObserved(source, task.signal))
      : await loadValue(calls, of, found, task.signal);
  const facts = { ...factsOf(value), ...storedFacts(found) };
  const subject = subjectOf(task, calls, of, found?.partition ?? undefined);
  // Compared with what was before it, as when it was made.
  const history = async () => {
    const all = await subject.history();
    const own = found?.id;
    return own === undefined ? all : all.filter(({ id }) => id === undefined || id < own);
  };
  const checked = { ...subject, ...facts, history, read: () => value };
  return isStream(value) ? checkStream(checks, checked) : checkValue(checks, value, checked);
}

function storedFacts(found: AssetValue | null) {
  const stored = found?.stored ?? null;
  return {
    ...(stored?.rows == null ? {} : { rows: stored.rows }),
    ...(stored?.schema == null ? {} : { schema: stored.schema }),
  };
}

/** Lets the code look at data made elsewhere, and the checks at the data where it can be read. */
export async function observeAsset(
  task: RunningTask,
  calls: LookCalls,
  definition: Definition,
  handler: Handler,
): Promise<unknown> {
  const begun = calls.clock.now();
  // Whatever it ends with: it is no failure to make the data.
  task.asset = { mode: 'observe', metadata: {}, checks: [] };
  const look = handler as (context: unknown) => unknown;
  const said = ((await look(runContext(task, calls, task.assignment.parameters))) ?? {}) as Seen;
  const seen = {
    ...readTime(said.eventTime),
    ...(said.dataVersion === undefined ? {} : { dataVersion: String(said.dataVersion) }),
  };
  const own = await allChecks(calls, definition.name, definition.checks);
  const checks = own.length === 0 ? [] : await checkObserved(task, calls, definition, own);
  const metadata = { durationMs: calls.clock.now() - begun, ...throughJson(said.metadata ?? {}) };
  task.asset = { mode: 'observe', metadata, checks, ...seen };
  return { ...seen, metadata };
}

async function checkObserved(
  task: RunningTask,
  calls: LookCalls,
  definition: Definition,
  checks: readonly BoundCheck[],
) {
  const value = await loadObserved(definition, task.signal);
  const subject = subjectOf(task, calls, definition.name, undefined);
  const checked = { ...subject, ...factsOf(value), read: () => value };
  return isStream(value) ? checkStream(checks, checked) : checkValue(checks, value, checked);
}

function readTime(given: string | Date | undefined): { eventTime?: string } {
  if (given === undefined) return {};
  const at = new Date(given);
  const eventTime = Number.isNaN(at.getTime()) ? null : toRfc3339(at);
  if (eventTime !== null) return { eventTime };
  throw new RangeError(`${String(given)} is not a time: use RFC 3339 or a Date`);
}
