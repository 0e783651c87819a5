/** Agents and their liveness, judged by the age of the last heartbeat and by nothing that the agent says of itself. */

export const AGENT_STATES = ['online', 'late', 'lost', 'stopped'] as const;
export type AgentState = (typeof AGENT_STATES)[number];

export interface Agent {
  readonly id: string;
  readonly name: string;
  readonly state: AgentState;
  readonly queues: readonly string[];
  readonly concurrency: number;
  readonly running: number;
  /** What it has that tasks may require. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly startedAt: string;
  readonly lastHeartbeatAt: string;
  readonly leaseExpiresAt: string;
}
