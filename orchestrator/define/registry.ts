import type { WorkflowDefinition, WorkflowFileError } from '../../domain/agent-protocol.ts';
import type { Definition } from './definition.ts';
import type { LoadedWorkflows } from './load.ts';

/** What an agent can run. */
export interface AgentDefinitions {
  readonly definitions: readonly WorkflowDefinition[];
  readonly fileErrors: readonly WorkflowFileError[];
  /** The code behind a name, imported when it is first needed; undefined where there is none. */
  find(name: string): Definition | undefined | Promise<Definition | undefined>;
  /** Names under which the modules export an asset. */
  exportNames(assetKey: string): Promise<readonly string[]>;
}

/** Definitions that are at hand as objects: those of the product itself, or of a test. */
export declare function definitionsOf(definitions: readonly Definition[]): AgentDefinitions;

/** Definitions out of files; a file is imported when the first of its tasks is to run. */
export declare function registryOf(loaded: LoadedWorkflows): AgentDefinitions;
