/**
 * Tells an agent again what was handed on to it. An agent that repeats a completion never got the answer to the first
 * one, and with it what that answer handed on. Of the runs in question it is told all that it holds; what it knows it
 * passes by.
 */
import type { Assignment } from '../../domain/agent-protocol.ts';
import type { RunInfos } from '../runs/run-info.ts';
import type { Db } from '../store/connection.ts';
import { findHeldOf } from '../store/held.ts';
import { toAssignment } from './offer.ts';

/**
 * What the session holds of these runs.
 * @param known tokens that it has spoken of just now
 */
export async function retell(
  deps: { readonly db: Db; readonly infos: RunInfos },
  sessionId: string,
  runIds: ReadonlySet<string>,
  known: ReadonlySet<string>,
): Promise<readonly Assignment[]> {
  const held = await findHeldOf(deps.db, sessionId, [...runIds]);
  await deps.infos.loadTasks(deps.db, held);
  return held.flatMap(({ runId, task, attempt, token, lost }) => {
    const info = deps.infos.get(runId);
    const graphTask = info?.version.tasks[task];
    if (!info || !graphTask || known.has(token)) return [];
    return [toAssignment(info, graphTask, attempt, token, lost > 0)];
  });
}
