/**
 * What an agent can run, by name. A file is imported when the first of its tasks is to run: an agent of thousands
 * of workflows starts at once and holds in memory what it uses.
 */
import type { WorkflowDefinition, WorkflowFileError } from '../../domain/agent-protocol.ts';
import { registeredIn } from './code-versions.ts';
import { type Definition, withCompanions } from './definition.ts';
import { type ImportedFile, importFile } from './import-file.ts';
import type { LoadedWorkflows } from './load.ts';

/** What an agent can run. */
export interface AgentDefinitions {
  readonly definitions: readonly WorkflowDefinition[];
  readonly fileErrors: readonly WorkflowFileError[];
  /** The code behind a name, imported when it is first needed; undefined where there is none. */
  find(name: string): Definition | undefined | Promise<Definition | undefined>;
  /** Counts how often files were read again. */
  readonly generation: number;
  /** Where the code behind a name can be imported by another process; undefined where it is only at hand. */
  sourceOf(name: string): { readonly path: string; readonly generation: number } | undefined;
  /** Names under which the modules export an asset. */
  exportNames(assetKey: string): Promise<readonly string[]>;
}

/** Definitions, and the code of those that were there before and are no more: an attempt of them may be on its way. */
export function withFormer(now: AgentDefinitions, former: AgentDefinitions): AgentDefinitions {
  return {
    ...now,
    find: (name) => now.find(name) ?? former.find(name),
    sourceOf: (name) => now.sourceOf(name) ?? former.sourceOf(name),
  };
}

/** Definitions that are at hand as objects: those of the product itself, or of a test. */
export function definitionsOf(
  given: readonly Definition[],
  exportNames: Readonly<Record<string, string>> = {},
): AgentDefinitions {
  const definitions = given.flatMap(withCompanions);
  const byName = new Map(definitions.map((definition) => [definition.name, definition]));
  return {
    definitions: definitions.map((definition) => registeredIn('', definition)),
    fileErrors: [],
    find: (name) => byName.get(name),
    generation: 0,
    sourceOf: () => undefined,
    exportNames: async (assetKey) => {
      const name = exportNames[assetKey];
      return name === undefined ? [] : [name];
    },
  };
}

/**
 * Definitions out of files.
 * @param generation 0 for the first reading in this process, and one more for each that follows a change
 */
export function registryOf(loaded: LoadedWorkflows, generation = 0): AgentDefinitions {
  const imports = new Map<string, Promise<ImportedFile>>();
  const byName = new Map<string, Definition>();

  function importOnce(path: string): Promise<ImportedFile> {
    const known = imports.get(path);
    if (known) return known;
    const importing = importFile(path, generation);
    imports.set(path, importing);
    return importing;
  }

  async function findIn(path: string, name: string): Promise<Definition | undefined> {
    const { definitions } = await importOnce(path);
    for (const definition of definitions) {
      if (loaded.paths.get(definition.name) === path) byName.set(definition.name, definition);
    }
    return byName.get(name);
  }

  return {
    definitions: loaded.definitions,
    fileErrors: loaded.errors,
    find(name) {
      const found = byName.get(name);
      if (found) return found;
      const path = loaded.paths.get(name);
      return path === undefined ? undefined : findIn(path, name);
    },
    generation,
    sourceOf(name) {
      const path = loaded.paths.get(name);
      return path === undefined ? undefined : { path, generation };
    },
    async exportNames(assetKey) {
      const path = loaded.paths.get(assetKey);
      if (path === undefined) return [];
      const { exportNames } = await importOnce(path);
      return [...exportNames].flatMap(([{ name }, names]) => (name === assetKey ? names : []));
    },
  };
}
