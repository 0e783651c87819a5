/** One task in a worker process: its code is imported and run here, all else is asked of the agent. */
import type { Clock } from '../../../domain/time.ts';
import { importFile } from '../../define/import-file.ts';
import type { Aborted } from '../failure.ts';
import { type InvokeCalls, invoke } from '../invoke.ts';
import type { LogBuffer } from '../log-buffer.ts';
import { RunningTask } from '../running-task.ts';
import { TaskScope, withinTask } from '../task-scope.ts';
import { flushSpans, withinRemote } from '../tracing.ts';
import type { EndedAttempt } from '../transport.ts';
import type { Channel } from './channel.ts';
import { busyKinds, type Children, leftSince } from './leftovers.ts';
import { SIGNAL_MARK, TASK_MARK, type ToWorker } from './messages.ts';

export interface WorkerParts {
  readonly channel: Channel;
  readonly logs: LogBuffer;
  readonly children: Children;
  readonly clock: Clock;
  /** What must be there before a task begins. */
  readonly setup: Promise<void>;
}

/** The task that runs in this process. */
export interface RunningHere {
  abort(reason: Aborted): void;
  /** Takes an error that nothing caught. @returns false where the task has ended already */
  stray(error: unknown, what: string): boolean;
}

/** Turns of the event loop. */
const TURNS = 3;
const FLUSH_LIMIT_MS = 2_000;

export function startTask(
  { assignment, name, source }: Extract<ToWorker, { type: 'run' }>,
  parts: WorkerParts,
): RunningHere {
  const { channel, logs, clock } = parts;
  let before: ReturnType<typeof busyKinds> = new Map();
  let broken = false;
  const calls = callsOver(parts, source.generation);
  const task = new RunningTask(assignment, {
    clock,
    agentName: '',
    tracer: () => null,
    isTimedElsewhere: true,
    invoke: (one, definition, handler) => invoke(one, calls, definition, handler),
    ended: (_, end) => void ended(end),
  });
  const scope = new TaskScope(task, logs);

  async function ended(end: EndedAttempt | null): Promise<void> {
    scope.end();
    await logs.flush();
    await flushSpans(FLUSH_LIMIT_MS);
    // What the code closes at its very end is closed by then.
    for (let turn = 0; turn < TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
    const children = parts.children.running();
    const left =
      leftSince(before, children) ?? (broken ? 'code that threw outside of its promise' : null);
    channel.send({ type: 'ended', completion: end?.completion ?? null, left, children });
  }

  async function begin(): Promise<void> {
    await parts.setup;
    withinRemote(assignment.traceparent, () =>
      withinTask(scope, () => {
        importFile(source.path, source.generation).then(({ definitions }) => {
          before = busyKinds();
          task.run(definitions.find((definition) => definition.name === name));
        }, task.fail);
      }),
    );
  }

  void begin();
  return {
    // Its end is told by the code itself; when it does not stop, its agent ends this process.
    abort: (reason) => task.tellToStop(reason),
    stray(error, what) {
      if (task.over) return false;
      broken = true;
      const shown = error instanceof Error ? (error.stack ?? error.message) : String(error);
      scope.log.error(`${what} ends the task: ${shown}`);
      task.crash(error);
      return true;
    },
  };
}

/** Calls that only pass on their arguments and answers are named by whoever makes them, and answered by the agent. */
function callsOver({ channel, logs, clock }: WorkerParts, generation: number): InvokeCalls {
  const here: Partial<InvokeCalls> = {
    clock,
    log: (task) => logs.of(task.assignment),
    async parked(_task, wait) {
      const unpark = await channel.park();
      try {
        return await wait();
      } finally {
        unpark();
      }
    },
    async definition(name) {
      const source = await channel.sourceOf(name);
      if (source === null) return undefined;
      const { definitions } = await importFile(source.path, generation);
      return definitions.find((one) => one.name === name);
    },
    async exportNames(assetKey) {
      const source = await channel.sourceOf(assetKey);
      if (source === null) return [];
      const { exportNames } = await importFile(source.path, generation);
      return [...exportNames].flatMap(([{ name }, names]) => (name === assetKey ? names : []));
    },
  };
  return new Proxy(here, {
    get: (own, name) =>
      Reflect.get(own, name) ??
      ((...args: readonly unknown[]) => channel.call(String(name), args.map(marked))),
  }) as InvokeCalls;
}

function marked(arg: unknown): unknown {
  if (arg instanceof RunningTask) return TASK_MARK;
  return arg instanceof AbortSignal ? SIGNAL_MARK : arg;
}
