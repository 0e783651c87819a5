/** Where each attempt runs: in the agent's process, or in one of its own. */
import type { Assignment, Isolation, TaskDefinition } from '../../../domain/agent-protocol.ts';
import type { AgentDefinitions } from '../../define/registry.ts';
import { codeNameOf } from '../code-name.ts';
import type { CodeSource } from './messages.ts';

/** A process of its own for an attempt. */
export interface OwnProcess {
  /** Name of the definition. */
  readonly name: string;
  readonly source: CodeSource;
  readonly memoryMiB: number | null;
  /** How long its code may block before that counts as a failure; null for no limit. */
  readonly blockLimitMs: number | null;
}

export interface Placement {
  readonly process: OwnProcess | null;
  readonly cancelGraceMs: number | undefined;
}

const SHARED: Placement = { process: null, cancelGraceMs: undefined };

export interface Placements {
  of(assignment: Assignment): Placement;
  /** Whether some task always has a process of its own. */
  readonly needsProcesses: boolean;
}

/**
 * @param mode for tasks that do not say
 * @param blockLimitMs for code that neither asked for a process of its own nor has a timeout
 */
export function placementsOf(
  definitions: AgentDefinitions,
  mode: Isolation,
  blockLimitMs: number,
): Placements {
  const special = new Map<string, Map<string, TaskDefinition>>();
  for (const { name, tasks } of definitions.definitions) {
    const own = tasks.filter(
      ({ isolation, cancelGraceMs }) => isolation !== undefined || cancelGraceMs !== undefined,
    );
    if (own.length > 0) special.set(name, new Map(own.map((task) => [task.key, task])));
  }
  const all = [...special.values()].flatMap((tasks) => [...tasks.values()]);
  return {
    needsProcesses: mode === 'process' || all.some(({ isolation }) => isolation === 'process'),
    of(assignment) {
      const name = codeNameOf(assignment);
      const task = special.get(name)?.get(assignment.item?.task ?? assignment.taskKey);
      const isolation = task?.isolation ?? mode;
      const alone =
        isolation === 'process' || (isolation === 'auto' && assignment.isolated === true);
      if (!alone && task === undefined) return SHARED;
      const source = alone ? definitions.sourceOf(name) : undefined;
      const isLimited = isolation === 'auto' && assignment.timeoutMs === null;
      return {
        cancelGraceMs: task?.cancelGraceMs,
        process:
          source === undefined
            ? null
            : {
                ...{ name, source, memoryMiB: task?.memoryMiB ?? null },
                blockLimitMs: isLimited ? blockLimitMs : null,
              },
      };
    },
  };
}
