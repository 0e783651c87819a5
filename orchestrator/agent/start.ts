import type { Clock } from '../../domain/time.ts';
import type { AgentDefinitions } from '../define/registry.ts';
import type { Transport } from './transport.ts';

export interface AgentOptions {
  readonly transport: Transport;
  /** What it can run: `definitionsOf([…])` or `registryOf(await loadWorkflows(…))`. */
  readonly definitions: AgentDefinitions;
  readonly name: string;
  readonly queues: readonly string[];
  /** Tasks at a time. */
  readonly concurrency: number;
  /** Takes what an operator should know, one line each. */
  log(message: string): void;
  readonly clock?: Clock;
  /** How long `stop` lets running tasks go on before it aborts them; 5 s unless told. */
  readonly drainMs?: number;
}

export interface RunningAgent {
  /** Takes no more work, drains, aborts what is left, hands it back. Safe to call twice. */
  stop(): Promise<void>;
  /** Tasks under way. */
  running(): number;
  /** The session's id while one is registered. */
  sessionId(): string | null;
  /** Registers what changed files define now; what runs goes on. */
  redefine(definitions: AgentDefinitions): Promise<void>;
}

/** Starts an agent; it registers, and goes on trying, in the background. */
export declare function startAgent(options: AgentOptions): RunningAgent;
