/**
 * The server's own small agent, in its process. It runs what the product does for itself: executions of
 * runbooks, as durable flows, so that a server that dies in the middle of a response loses nothing.
 */
import type { Collector } from '../../collector/service.ts';
import type { Clock } from '../../domain/time.ts';
import { inProcessTransport } from '../../orchestrator/agent/in-process-transport.ts';
import { type RunningAgent, startAgent } from '../../orchestrator/agent/start.ts';
import { definitionsOf } from '../../orchestrator/define/registry.ts';
import { flow } from '../../orchestrator/index.ts';
import type { Orchestrator } from '../../orchestrator/service.ts';

const QUEUE = 'signalbox-system';
export const RUNBOOK_FLOW = 'signalbox-runbook';
const CONCURRENCY = 8;
const DRAIN_MS = 1_000;
const RETRIES = 20;

/** How the flow's body is told to go on. */
export interface Executor {
  runExecution(
    executionId: string,
    steps: { step<T>(key: string, work: () => Promise<T>): Promise<T>; signal: AbortSignal },
  ): Promise<void>;
}

export interface SystemAgentOptions {
  readonly orchestrator: Orchestrator;
  readonly collector: Collector;
  readonly executor: Executor;
  readonly serverName: string;
  readonly clock: Clock;
  log(message: string): void;
}

export function startSystemAgent(options: SystemAgentOptions): RunningAgent {
  const { orchestrator, collector, executor, serverName, clock, log } = options;
  const runbook = flow(
    RUNBOOK_FLOW,
    {
      description: 'Carries one execution of a runbook',
      queue: QUEUE,
      retries: RETRIES,
      retryDelay: '2s',
      parameters: {
        type: 'object',
        required: ['executionId'],
        properties: { executionId: { type: 'string' } },
      },
    },
    async (ctx, { executionId }) => {
      const step = <T>(key: string, work: () => Promise<T>) =>
        ctx.step(key, () => work()) as Promise<T>;
      await executor.runExecution(executionId, { step, signal: ctx.signal });
    },
  );
  const name = `system-${serverName}`;
  const transport = inProcessTransport(orchestrator.agents, ({ lines }) => {
    const told = lines.map((line) => ({ ...line, workflow: RUNBOOK_FLOW, agent: name }));
    collector.recordLogs(told).catch((error: unknown) => log(`system logs were lost: ${error}`));
  });
  return startAgent({
    ...{ transport, name, log, clock },
    definitions: definitionsOf([runbook]),
    queues: [QUEUE],
    concurrency: CONCURRENCY,
    drainMs: DRAIN_MS,
  });
}
