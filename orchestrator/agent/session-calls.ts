/** What tasks ask for while they run, through their agent's session; and the lending of slots while they wait. */
import { rm } from 'node:fs/promises';
import type { OnceRequest } from '../../domain/agent-protocol.ts';
import type { Clock } from '../../domain/time.ts';
import type { AgentDefinitions } from '../define/registry.ts';
import type { InvokeCalls } from './invoke.ts';
import type { LogBuffer } from './log-buffer.ts';
import { persist } from './persist.ts';
import { contentPath } from './results/blob-files.ts';
import type { RunningTask } from './running-task.ts';
import { stepStore } from './steps.ts';
import type { Transport } from './transport.ts';

export interface SessionCallDeps {
  readonly sessionId: string;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly logs: LogBuffer;
  readonly concurrency: number;
  /** Aborted when the session is over. */
  readonly over: AbortSignal;
  exportNames(assetKey: string): Promise<readonly string[]>;
  /** What the agent can run at this moment. */
  definitions(): AgentDefinitions;
  /** Gives a slot away, or takes it back. */
  lend(slots: 1 | -1): void;
}

/** Tasks that may wait (for a subflow, for a time) without a slot, for each slot. */
const PARKED_A_SLOT = 20;

export function sessionCalls(deps: SessionCallDeps): InvokeCalls {
  const { transport, clock, logs, sessionId: id } = deps;
  const ask = <T>(call: () => Promise<T>): Promise<T> => persist(call, deps.over);
  const steps = stepStore(
    (records) => ask(() => transport.recordSteps(id, records)),
    (runId) => ask(() => transport.steps(id, runId)),
  );
  return {
    ...steps,
    clock,
    log: (task) => logs.of(task.assignment),
    once: (request: OnceRequest) => ask(() => transport.once(id, request)),
    result: (runId, taskKey) => ask(() => transport.result(id, runId, taskKey)),
    assetValue: (assetKey) => ask(() => transport.assetValue(id, assetKey)),
    assetInput: (runId, taskKey, assetKey, partition) =>
      ask(() => transport.assetInput(id, { runId, taskKey, assetKey, partition })),
    changePartitions: (request) => ask(() => transport.changePartitions(id, request)),
    putBlob: (blob, path) => ask(() => transport.putBlob(id, blob, path)),
    getBlob: async (of) => {
      const path = await contentPath();
      try {
        await ask(() => transport.getBlob(id, of, path));
      } catch (error) {
        await rm(path, { force: true });
        throw error;
      }
      return path;
    },
    cache: (request) => ask(() => transport.cache(id, request)),
    artifact: (artifact) => ask(() => transport.artifact(id, artifact)),
    exportNames: deps.exportNames,
    assetHistory: (assetKey) => ask(() => transport.assetHistory(id, assetKey)),
    definition: async (name) => deps.definitions().find(name),
    checkNames: async (assetKey) =>
      deps
        .definitions()
        .definitions.flatMap(({ name, check }) => (check?.asset === assetKey ? [name] : [])),
    startSubflow: (task, key, workflow, parameters) => {
      const { runId, token } = task.assignment;
      return ask(() => transport.startSubflow(id, { runId, token, key, workflow, parameters }));
    },
    waitRun: (runId, waitMs, signal) => ask(() => transport.waitRun(id, runId, waitMs, signal)),
    ...parking(deps),
    wait: (request, signal) => ask(() => transport.wait(id, request, signal)),
    emit: (request) => ask(() => transport.emit(id, request)),
  };
}

/** A task may wait for several things at a time; its slot is its own again when all of them are over. */
function parking({
  concurrency,
  lend,
  transport,
  sessionId,
  over,
}: SessionCallDeps): Pick<InvokeCalls, 'parked' | 'suspend' | 'suspendAfterMs'> {
  let parked = 0;
  const count = (slots: 1 | -1) => {
    parked += slots;
    lend(slots);
  };
  return {
    ...(transport.suspendAfterMs === undefined ? {} : { suspendAfterMs: transport.suspendAfterMs }),
    async parked<T>(task: RunningTask, wait: () => Promise<T>): Promise<T> {
      const mayLend = parked < concurrency * PARKED_A_SLOT;
      if (task.waits === 0 && !mayLend) return wait();
      task.waits += 1;
      if (task.waits === 1) count(1);
      try {
        return await wait();
      } finally {
        if (task.waits === 1) count(-1);
        task.waits = Math.max(0, task.waits - 1);
      }
    },
    async suspend(task, request) {
      const reply = await persist(() => transport.suspend(sessionId, request), over);
      if (reply.outcome !== 'suspended') return reply;
      // Its waits never end, so they take nothing back.
      if (task.waits > 0) count(-1);
      task.waits = 0;
      task.leave();
      return reply;
    },
  };
}
