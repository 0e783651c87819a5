export interface RunAgentOptions {
  readonly url: string;
  readonly token: string;
  readonly queues: readonly string[];
  readonly concurrency: number;
  readonly name: string;
  /** Folders with workflow files. */
  readonly workflows: readonly string[];
  log(message: string): void;
  /** Reads files again when they change. */
  readonly watch?: boolean;
  /** Ends the agent; without it SIGTERM and SIGINT do. */
  readonly signal?: AbortSignal;
}

/** The role `agent`: loads files, registers, works; resolves when it has ended cleanly (within 8 s of the signal). */
export declare function runAgent(options: RunAgentOptions): Promise<void>;
