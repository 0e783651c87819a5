/** What a worker process asks of its agent's session, answered over the channel. */
import type { Assignment, LogsRequest } from '../../../domain/agent-protocol.ts';
import type { InvokeCalls } from '../invoke.ts';
import type { RunningTask } from '../running-task.ts';
import type { CodeSource, ToAgent, ToWorker } from './messages.ts';
import { toWire } from './wire-error.ts';

export interface Serving {
  readonly task: RunningTask;
  readonly calls: InvokeCalls;
  takeLogs(assignment: Assignment, request: LogsRequest): Promise<void>;
  sourceOf(name: string): CodeSource | undefined;
  parked(isParked: boolean): void;
  answer(message: Extract<ToWorker, { type: 'answer' }>): void;
}

/** What asks for an answer, or takes a wait back. */
export type Asked = Extract<ToAgent, { type: 'call' | 'logs' | 'source' | 'park' | 'unpark' }>;

/** What a worker does by itself. */
const OWN: ReadonlySet<string> = new Set(['clock', 'log', 'parked']);
const parks = new WeakMap<RunningTask, Map<number, () => void>>();

/** Answers one call; a call that fails is answered with its error. */
export function answerCall(serving: Serving, asked: Asked): void {
  if (asked.type === 'unpark') {
    parks.get(serving.task)?.get(asked.park)?.();
    return;
  }
  const { id } = asked;
  Promise.resolve()
    .then(() => ask(serving, asked))
    .then(
      (value) => serving.answer({ type: 'answer', id, value }),
      (error: unknown) => serving.answer({ type: 'answer', id, error: toWire(error) }),
    );
}

/** Ends all waits of a task that has ended. */
export function endParks(task: RunningTask): void {
  for (const over of parks.get(task)?.values() ?? []) over();
}

function ask(serving: Serving, asked: Exclude<Asked, { type: 'unpark' }>): unknown {
  const { task, calls } = serving;
  if (asked.type === 'logs') return serving.takeLogs(task.assignment, asked.request);
  if (asked.type === 'source') return serving.sourceOf(asked.name) ?? null;
  if (asked.type === 'park') return park(serving, asked.id);
  const { name, args } = asked;
  const method: unknown =
    Object.hasOwn(calls, name) && !OWN.has(name) ? Reflect.get(calls, name) : null;
  if (typeof method !== 'function') throw new Error(`there is no call ${name}`);
  return Reflect.apply(
    method,
    calls,
    args.map((arg) => unmark(arg, task)),
  );
}

function unmark(arg: unknown, task: RunningTask): unknown {
  if (typeof arg !== 'object' || arg === null || !('$' in arg)) return arg;
  if (arg.$ === 'task') return task;
  return arg.$ === 'signal' ? task.signal : arg;
}

/** The answer says that the wait has begun; it lasts until the worker says that it is over, or its task ends. */
function park({ task, calls, parked }: Serving, id: number): null {
  const { promise, resolve } = Promise.withResolvers<void>();
  const all = parks.get(task) ?? new Map<number, () => void>();
  parks.set(task, all.set(id, resolve));
  const over = () => resolve();
  task.signal.addEventListener('abort', over, { once: true });
  parked(true);
  void calls
    .parked(task, () => promise)
    .finally(() => {
      all.delete(id);
      task.signal.removeEventListener('abort', over);
      parked(false);
    });
  return null;
}
