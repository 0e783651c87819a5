/**
 * Items of mapped tasks. A list is asked for once a run and kept for a while, so that ten thousand items cost one call
 * an agent and not one each.
 */
import type { ResultReply } from '../../domain/agent-protocol.ts';
import type { AssignedItem } from '../../domain/task-graph.ts';
import { type ResolveCalls, resolveResult } from './results/resolve.ts';

/** What reads a result of the run; lists are kept for each of them. */
interface ResultCalls extends ResolveCalls {
  result(runId: string, taskKey: string): Promise<ResultReply>;
}

/** Lists that are kept; one is a result, and has a mebibyte at most unless it is of a mapped task itself. */
const MAX_LISTS = 16;
const lists = new WeakMap<ResultCalls, Map<string, Promise<readonly unknown[]>>>();

/** @throws Error where the list is not there any more as it was */
export async function readItem(
  calls: ResultCalls,
  runId: string,
  { over, index, stamp }: AssignedItem,
): Promise<unknown> {
  const known = lists.get(calls) ?? new Map<string, Promise<readonly unknown[]>>();
  lists.set(calls, known);
  const name = `${runId} ${stamp} ${over}`;
  const list = known.get(name) ?? readList(calls, runId, over);
  // The ones that were asked for last stay.
  known.delete(name);
  known.set(name, list);
  const [oldest] = known.keys();
  if (known.size > MAX_LISTS && oldest !== undefined) known.delete(oldest);
  try {
    const items = await list;
    if (index < items.length) return items[index];
  } catch (error) {
    known.delete(name);
    throw error;
  }
  throw new Error(`the result of ${JSON.stringify(over)} has no item ${index} any more`);
}

async function readList(
  calls: ResultCalls,
  runId: string,
  over: string,
): Promise<readonly unknown[]> {
  const { state, result: recorded } = await calls.result(runId, over);
  const result = await resolveResult(calls, recorded);
  if (Array.isArray(result)) return result;
  if (typeof result === 'object' && result !== null) return Object.entries(result);
  throw new Error(`the list of ${JSON.stringify(over)} is not there, it is ${state}`);
}
