/** Imports one workflow file into this process and tells what it defines. */
import { pathToFileURL } from 'node:url';
import { type Definition, isDefinition, withCompanions } from './definition.ts';
import { generationUrl, resolveSignalbox } from './resolve-hook.ts';

export interface ImportedFile {
  readonly definitions: readonly Definition[];
  /** Names under which the module exports a definition. */
  readonly exportNames: ReadonlyMap<Definition, readonly string[]>;
  /** Whether it has a default export, whatever that is. */
  readonly hasDefault: boolean;
}

/**
 * @param generation counts how often files were read again in this process
 * @throws whatever the file throws
 */
export async function importFile(path: string, generation: number): Promise<ImportedFile> {
  resolveSignalbox();
  const module: unknown = await import(generationUrl(pathToFileURL(path).href, generation));
  const names = new Map<Definition, string[]>();
  for (const [name, value] of Object.entries(module ?? {})) {
    for (const definition of definitionsIn(value)) {
      const known = names.get(definition) ?? [];
      names.set(definition, known);
      if (name !== 'default' && value === definition) known.push(name);
    }
  }
  return {
    definitions: [...names.keys()].flatMap(withCompanions),
    exportNames: names,
    hasDefault: typeof module === 'object' && module !== null && 'default' in module,
  };
}

/** A definition, or lists of them however deep. */
function definitionsIn(value: unknown): Definition[] {
  if (isDefinition(value)) return [value];
  if (!Array.isArray(value)) return [];
  return value.flatMap((one: unknown) => definitionsIn(one));
}

const FRAME_FILE = /file:\/\/[^\s)]+?\.(?:ts|mts|js|mjs)(?=[?:)]|$)/gm;

/**
 * Whether a definition belongs to the file that exports it: another workflow file may have made it, and lists
 * it itself.
 */
export function isMadeIn(
  definition: Definition,
  path: string,
  workflowFiles: ReadonlySet<string>,
): boolean {
  const frames = new Set(definition.madeAt.match(FRAME_FILE));
  if (frames.has(pathToFileURL(path).href)) return true;
  return ![...frames].some((frame) => workflowFiles.has(frame));
}
