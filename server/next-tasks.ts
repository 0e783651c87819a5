/**
 * What is handed on with an answer to completions, in short: most of it is of runs that the agent knows, whose dates,
 * parameters and traces need not be told again. Done last, on what the agent would be told in full, so that the places
 * are those of the request as it came.
 */
import type { Assignment, CompleteReply, CompleteRequest } from '../domain/agent-protocol.ts';
import type { NextTask } from '../domain/next-task.ts';

/** The answer with `next` in place of the assignments that can be told by it, where the agent reads that. */
export function inShort(request: CompleteRequest, reply: CompleteReply): CompleteReply {
  if (request.compact !== true || reply.assignments.length === 0) return reply;
  const places = new Map<string, number>();
  for (const [place, { runId }] of request.completions.entries()) places.set(runId, place);
  const assignments: Assignment[] = [];
  const next: NextTask[] = [];
  for (const assignment of reply.assignments) {
    const { runId, taskKey, attempt, token, timeoutMs } = assignment;
    const place = places.get(runId);
    if (place === undefined || !isPlain(assignment)) assignments.push(assignment);
    else next.push([place, taskKey, attempt, token, timeoutMs]);
  }
  return { ...reply, assignments, next };
}

/** Whether all that it has beside what `next` tells is its run's. */
function isPlain({ kind, partition, isolated, item }: Assignment): boolean {
  return kind === 'task' && !partition && !isolated && !item;
}
