/**
 * Reads workflow files into definitions. Users' code runs while it is imported, so it does that in child
 * processes: one that throws, exits, loops or waits for ever costs its own file and no other. Many files share a
 * child, since a process for each would take minutes for thousands of files.
 */
import { availableParallelism } from 'node:os';
import type { WorkflowDefinition, WorkflowFileError } from '../../domain/agent-protocol.ts';
import { findFiles, type WorkflowFile } from './files.ts';
import { findCycle } from './graph.ts';
import { readInChildren } from './load-children.ts';

const IMPORT_LIMIT_MS = 10_000;
const FILES_A_CHILD = 100;
const MAX_CHILDREN = 4;

export interface LoadOptions {
  /** Longest time that the import of one file may take; 10 s unless told. */
  readonly importLimitMs?: number;
}

export interface LoadedWorkflows {
  readonly definitions: readonly WorkflowDefinition[];
  readonly errors: readonly WorkflowFileError[];
  /** Absolute path of the file by the name of what it defines. */
  readonly paths: ReadonlyMap<string, string>;
  /** Files that define nothing, as helpers do not. */
  readonly empty: readonly string[];
}

/** What one file gave: definitions, or why it has none. */
export interface FileOutcome {
  readonly file: WorkflowFile;
  readonly definitions: readonly WorkflowDefinition[];
  readonly error: string | null;
}

/**
 * Reads all workflow files under the folders (`.ts`, `.js`, `.mts`, `.mjs`; not declarations, tests,
 * `node_modules`, folders with a dot) in child processes.
 * @throws Error where a folder cannot be read; what is wrong with a file is in `errors`
 */
export async function loadWorkflows(
  folders: readonly string[],
  options: LoadOptions = {},
): Promise<LoadedWorkflows> {
  const files = await findFiles(folders);
  const limitMs = options.importLimitMs ?? IMPORT_LIMIT_MS;
  const children = Math.min(
    MAX_CHILDREN,
    availableParallelism(),
    Math.ceil(files.length / FILES_A_CHILD),
  );
  const size = Math.ceil(files.length / Math.max(1, children));
  const parts = Array.from({ length: children }, (_, index) =>
    files.slice(index * size, (index + 1) * size),
  );
  const all = files.map((file) => file.path);
  const outcomes = await Promise.all(parts.map((part) => readInChildren(part, all, limitMs)));
  return together(outcomes.flat());
}

/** Refuses what is right by itself and wrong beside the others: a name taken, assets in a circle. */
function together(outcomes: readonly FileOutcome[]): LoadedWorkflows {
  const kept: FileOutcome[] = [];
  const errors: WorkflowFileError[] = [];
  const owners = new Map<string, string>();
  for (const outcome of outcomes) {
    const taken = outcome.definitions.find((definition) => owners.has(definition.name));
    const twice = repeated(outcome.definitions.map((definition) => definition.name));
    const error =
      outcome.error ??
      (taken === undefined
        ? null
        : `${taken.kind} "${taken.name}" is already defined in ${owners.get(taken.name)}`) ??
      (twice === undefined ? null : `it defines "${twice}" twice`);
    if (error !== null) {
      errors.push({ file: outcome.file.shown, message: error });
      continue;
    }
    kept.push(outcome);
    for (const definition of outcome.definitions) owners.set(definition.name, outcome.file.shown);
  }
  const good = withoutCycles(kept, errors);
  return {
    definitions: good.flatMap((outcome) => outcome.definitions),
    errors,
    empty: good.flatMap(({ file, definitions }) => (definitions.length === 0 ? [file.shown] : [])),
    paths: new Map(
      good.flatMap(({ file, definitions }) => definitions.map(({ name }) => [name, file.path])),
    ),
  };
}

function repeated(names: readonly string[]): string | undefined {
  return names.find((name, index) => names.indexOf(name) !== index);
}

/** Leaves out the last file of each circle of assets; the others can do without it. */
function withoutCycles(outcomes: FileOutcome[], errors: WorkflowFileError[]): FileOutcome[] {
  const upstreams = new Map<string, readonly string[]>();
  const places = new Map<string, number>();
  for (const [index, { definitions }] of outcomes.entries()) {
    for (const { asset } of definitions) {
      if (asset === null) continue;
      // On itself it can only depend for partitions before (`readInputMappings`), which is no circle.
      upstreams.set(
        asset.key,
        asset.dependsOn.filter((key) => key !== asset.key),
      );
      places.set(asset.key, index);
    }
  }
  const cycle = findCycle(upstreams.keys(), (key) => upstreams.get(key) ?? []);
  if (cycle === null) return outcomes;
  const last = Math.max(...cycle.map((key) => places.get(key) ?? 0));
  errors.push({
    file: outcomes[last]?.file.shown ?? '',
    message: `assets depend on each other in a circle: ${cycle.join(' → ')}`,
  });
  return withoutCycles(
    outcomes.filter((_, index) => index !== last),
    errors,
  );
}
