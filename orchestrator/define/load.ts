import type { WorkflowDefinition, WorkflowFileError } from '../../domain/agent-protocol.ts';

export interface LoadOptions {
  /** Longest time that the import of one file may take; 10 s unless told. */
  readonly importLimitMs?: number;
}

export interface LoadedWorkflows {
  readonly definitions: readonly WorkflowDefinition[];
  readonly errors: readonly WorkflowFileError[];
  /** Absolute path of the file by the name of what it defines. */
  readonly paths: ReadonlyMap<string, string>;
}

/** Reads all workflow files under the folders in child processes; files that fail are in `errors`. */
export declare function loadWorkflows(
  folders: readonly string[],
  options?: LoadOptions,
): Promise<LoadedWorkflows>;

/** Loads again whenever files change; `onChange` gets the new whole. */
export declare function watchWorkflows(
  folders: readonly string[],
  onChange: (loaded: LoadedWorkflows) => void,
  options?: LoadOptions,
): { close(): void };
