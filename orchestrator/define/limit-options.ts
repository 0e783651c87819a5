/** Options that limit how many tasks or runs are under way at a time, and which agents may have them. */
import type {
  RunConcurrency,
  TaskConcurrency,
  TaskDefinition,
} from '../../domain/agent-protocol.ts';
import { WEIGHT_RULES } from '../../domain/task-graph.ts';
import { DefinitionError, integer, oneOf, optional, type Read, readOptions } from './options.ts';

/**
 * At most `limit` at a time for each key. The key is a text with places for parameters, such as
 * `tenant-${parameters.tenant}`: it is known to the server before any agent has the task.
 */
export interface ConcurrencyOptions {
  readonly key: string;
  /** 1 unless told. */
  readonly limit?: number;
}

export interface TaskConcurrencyOptions extends ConcurrencyOptions {
  /** Who shares the keys: the runs of this `task` (unless told), all tasks of the `workflow`, or all with this key. */
  readonly scope?: 'task' | 'workflow' | 'global';
}

export interface RunConcurrencyOptions extends ConcurrencyOptions {
  /**
   * What becomes of a run while others hold its key. `queue` (unless told): it waits, the highest priority first.
   * `cancel-running`: those are cancelled for it. `cancel-new`, `skip`: it ends as cancelled, or as skipped.
   */
  readonly strategy?: 'queue' | 'cancel-running' | 'cancel-new' | 'skip';
  /** Who shares the keys: the runs of this `workflow` (unless told), or all with this key. */
  readonly scope?: 'workflow' | 'global';
}

/** Options of everything that is tried. */
export interface LimitOptions {
  /** How many of it may run at a time, over all runs. */
  readonly maxActive?: number;
  /** Labels that an agent must have to be given it, such as `{ gpu: 'true' }`. */
  readonly requires?: Readonly<Record<string, string>>;
}

/** Options of a task of a workflow besides. */
export interface TaskLimitOptions {
  /** How many of it may run at a time in one run, as for the items of a mapped task. */
  readonly maxActivePerRun?: number;
  readonly concurrency?: TaskConcurrencyOptions;
  /** Queue of this task; its workflow's unless told. */
  readonly queue?: string;
}

/** Options of a workflow or a flow. */
export interface RunLimitOptions {
  readonly concurrency?: RunConcurrencyOptions;
}

const MOST = 1_000_000;
const PLACE = /\$\{([^}]*)\}/g;
const KNOWN_PLACE = /^(?:workflow|parameters(?:\.[\w-]+)+)$/;
const LABEL = /^[\w./-]{1,63}$/;
const MAX_LABELS = 20;

const key: Read<string> = (value) => {
  if (typeof value !== 'string' || value === '' || value.length > 200) {
    throw new DefinitionError(`must be a text such as "tenant-\${parameters.tenant}"`);
  }
  for (const [, place = ''] of value.matchAll(PLACE)) {
    if (KNOWN_PLACE.test(place.trim())) continue;
    throw new DefinitionError(
      `"${place}" is not known; a place is \${workflow} or \${parameters.NAME}`,
    );
  }
  return value;
};

const limit = integer(1, MOST, 1);

const taskConcurrency: Read<TaskConcurrency> = (value) => {
  const scope = optional(oneOf('task', 'workflow', 'global'));
  const read = readOptions<{ key: string; limit: number; scope: TaskConcurrency['scope'] | null }>(
    value,
    { key, limit, scope },
  );
  return { key: read.key, limit: read.limit, ...(read.scope ? { scope: read.scope } : {}) };
};

const runConcurrency: Read<RunConcurrency> = (value) => {
  const read = readOptions<{
    key: string;
    limit: number;
    scope: RunConcurrency['scope'] | null;
    strategy: RunConcurrency['strategy'] | null;
  }>(value, {
    ...{ key, limit },
    scope: optional(oneOf('workflow', 'global')),
    strategy: optional(oneOf('queue', 'cancel-running', 'cancel-new', 'skip')),
  });
  return {
    ...{ key: read.key, limit: read.limit, strategy: read.strategy ?? 'queue' },
    ...(read.scope ? { scope: read.scope } : {}),
  };
};

const labels: Read<Readonly<Record<string, string>>> = (value) => {
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  if (entries.length === 0 || entries.length > MAX_LABELS) {
    throw new DefinitionError(`must be 1 to ${MAX_LABELS} labels, such as { gpu: 'true' }`);
  }
  for (const [name, text] of entries) {
    if (LABEL.test(name) && typeof text === 'string' && LABEL.test(text)) continue;
    throw new DefinitionError(
      `${name}: names and values of labels are 1 to 63 letters, digits and "._/-"`,
    );
  }
  return Object.fromEntries(entries);
};

export const limitReaders = {
  maxActive: optional(integer(1, MOST, 1)),
  requires: optional(labels),
};

export const taskLimitReaders = {
  maxActivePerRun: optional(integer(1, MOST, 1)),
  concurrency: optional(taskConcurrency),
};

const MOST_WEIGHT = 10_000;

export const weightReaders = {
  priorityWeight: optional(integer(-MOST_WEIGHT, MOST_WEIGHT, 1)),
  weightRule: optional(oneOf(...WEIGHT_RULES)),
};

export const runLimitReaders = { concurrency: optional(runConcurrency) };

/** Their part of a definition: only what was told, so that no version changes for it. */
export function limitsOf(read: {
  readonly maxActive: number | null;
  readonly requires: Readonly<Record<string, string>> | null;
}): Pick<TaskDefinition, 'maxActive' | 'requires'> {
  return {
    ...(read.maxActive === null ? {} : { maxActive: read.maxActive }),
    ...(read.requires === null ? {} : { requires: read.requires }),
  };
}
