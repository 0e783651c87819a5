/** What an agent is answered that registers. */
export interface RegisterReply {
  /** The server's time, which agents keep to. */
  readonly now?: number;
  readonly sessionId: string;
  readonly leaseMs: number;
  readonly heartbeatEveryMs: number;
  /** What whoever looks at the agent's log should know of its definitions; nothing of it keeps them from running. */
  readonly notices?: readonly string[];
}
