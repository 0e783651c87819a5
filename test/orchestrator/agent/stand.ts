/** An orchestrator on a real PostgreSQL with agents in this process that run definitions at hand. */
import type { LogLine } from '../../../domain/agent-protocol.ts';
import { isTerminalRun, type Run } from '../../../domain/run.ts';
import { inProcessTransport } from '../../../orchestrator/agent/in-process-transport.ts';
import { type RunningAgent, startAgent } from '../../../orchestrator/agent/start.ts';
import type { Transport } from '../../../orchestrator/agent/transport.ts';
import type { Definition } from '../../../orchestrator/define/definition.ts';
import { definitionsOf } from '../../../orchestrator/define/registry.ts';
import type { BlobStore } from '../../../orchestrator/results/blob-store.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type Stand, startStand, trigger } from '../dispatch/stand.ts';

export interface AgentStand extends AsyncDisposable {
  readonly stand: Stand;
  /** What tasks logged. */
  readonly lines: LogLine[];
  /** What agents told. */
  readonly told: string[];
  start(definitions: readonly Definition[], options?: StartOptions): Promise<RunningAgent>;
  /** Starts a run and waits for its end. */
  run(name: string, parameters?: Record<string, unknown>): Promise<Run>;
  ended(runId: string): Promise<Run>;
  /** Results of a run's tasks by key. */
  results(runId: string): Promise<Record<string, unknown>>;
}

export interface StartOptions {
  readonly concurrency?: number;
  readonly transport?: Transport;
  readonly queues?: readonly string[];
  readonly name?: string;
  readonly drainMs?: number;
  /** Names that assets are exported under, by key. */
  readonly exportNames?: Readonly<Record<string, string>>;
}

export async function startAgentStand(
  options: { leaseMs?: number; resultStore?: BlobStore } = {},
): Promise<AgentStand> {
  const stand = await startStand(options);
  const { orchestrator } = stand;
  const agents: RunningAgent[] = [];
  const lines: LogLine[] = [];
  const told: string[] = [];

  async function ended(runId: string): Promise<Run> {
    const run = await waitFor(
      async () => {
        const found = await orchestrator.runs.get(runId);
        return isTerminalRun(found.state) ? found : undefined;
      },
      { what: `the end of run ${runId}`, timeoutMs: 15_000 },
    );
    return run;
  }

  return {
    ...{ stand, lines, told, ended },
    async start(definitions, start = {}) {
      const agent = startAgent({
        transport:
          start.transport ??
          inProcessTransport(orchestrator.agents, (request) => lines.push(...request.lines)),
        definitions: definitionsOf(definitions, start.exportNames),
        name: start.name ?? 'test',
        queues: start.queues ?? ['default'],
        concurrency: start.concurrency ?? 10,
        log: (message) => told.push(message),
        drainMs: start.drainMs ?? 200,
      });
      agents.push(agent);
      await waitFor(() => agent.sessionId(), { what: 'the registration' });
      return agent;
    },
    async run(name, parameters = {}) {
      return ended(await trigger(orchestrator, name, { parameters }));
    },
    async results(runId) {
      const tasks = await orchestrator.runs.tasks(runId);
      return Object.fromEntries(tasks.map(({ key, result }) => [key, result]));
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(agents.map((agent) => agent.stop()));
      await stand[Symbol.asyncDispose]();
    },
  };
}
