/** What becomes of the results of tasks and steps that are too large to be recorded as they are, or are no JSON. */
import type { Assignment } from '../../../domain/agent-protocol.ts';
import { RESULT_MARK, SPILL_BYTES } from '../../../domain/result.ts';
import type { Definition } from '../../define/definition.ts';
import { plainJson } from '../encode.ts';
import { inlineBytes, isBytes, type SpillCalls, spill } from './spill.ts';

/** Puts a result elsewhere; null where it stays as it is. */
export type Keeper = (result: unknown, json: string | null) => Promise<unknown>;

/** Whether a result of the user's looks like something that Signalbox records in its place. */
export function isReserved(result: unknown): boolean {
  return typeof result === 'object' && result !== null && RESULT_MARK in result && !isBytes(result);
}

/** @returns null for a run that makes several partitions of an asset: each is recorded by itself, out of the whole */
export function keeperOf(
  calls: SpillCalls,
  assignment: Assignment,
  definition: Definition,
): Keeper | null {
  const key = assignment.item?.task ?? assignment.taskKey;
  const task = definition.described.tasks.find((one) => one.key === key);
  const ofAsset = assignment.kind === 'asset' || (task?.produces?.length ?? 0) > 0;
  if (ofAsset && (assignment.partition?.keys.length ?? 0) > 1) return null;
  return async (result, json) =>
    (isBytes(result) ? inlineBytes(result) : null) ?? spill(calls, assignment, result, json);
}

/** A step's result as the flow goes on with it, and as it is recorded: the same that a replay gives. */
export async function keepStep<T>(
  calls: SpillCalls,
  assignment: Assignment,
  key: string,
  result: T,
): Promise<{ readonly value: T; readonly recorded: unknown }> {
  if (isReserved(result)) throw reserved();
  if (isBytes(result)) {
    const value = Buffer.from(result) as unknown as T;
    const recorded = inlineBytes(result) ?? (await spill(calls, assignment, result, null, key));
    return { value, recorded };
  }
  const { value, json } = plainJson(result);
  if (json === null || json.length <= SPILL_BYTES) return { value, recorded: value };
  return { value, recorded: await spill(calls, assignment, value, json, key) };
}

/** What who returns a reserved name is told. */
export function reserved(): Error {
  const error = new Error(`a result cannot have the key ${RESULT_MARK}: it is Signalbox's own`);
  error.name = 'ResultError';
  return error;
}
