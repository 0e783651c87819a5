/** Options that say where the code of a task runs, how much memory it has there, and how it is stopped. */
import { ISOLATIONS, type Isolation, type TaskDefinition } from '../../domain/agent-protocol.ts';
import { DefinitionError, durationMs, oneOf, optional, type Read } from './options.ts';

export interface IsolationOptions {
  /**
   * Where the code runs. `shared`: in the agent's process. `process`: in a process of its own, which can be
   * limited and ended. `auto`: shared, until an attempt was lost with its agent. As the agent says, unless told.
   */
  readonly isolation?: Isolation;
  /** Heap of the process of its own, as `512MiB` or `2GiB`; Node's own limit unless told. It implies `process`. */
  readonly memory?: string;
  /** How long the code may go on after it was told to stop, before its process is ended; 5 s unless told. */
  readonly cancelGrace?: string | number;
}

export interface ReadIsolation {
  readonly isolation: Isolation | null;
  readonly memory: number | null;
  readonly cancelGrace: number | null;
}

const MEMORY = /^(\d+(?:\.\d+)?)\s*([KMG])i?B?$/i;
const MIB_A_UNIT = { K: 1 / 1_024, M: 1, G: 1_024 } as const;
/** Node and this package need about half of it for themselves. */
const LEAST_MIB = 32;
const MOST_MIB = 1_048_576;

const memoryMiB: Read<number> = (value) => {
  const [, amount, unit = ''] = MEMORY.exec(typeof value === 'string' ? value : '') ?? [];
  const factor = MIB_A_UNIT[unit.toUpperCase() as keyof typeof MIB_A_UNIT];
  const mib = Math.floor(Number(amount) * factor);
  if (mib >= LEAST_MIB && mib <= MOST_MIB) return mib;
  throw new DefinitionError(`must be memory of at least ${LEAST_MIB}MiB, such as "512MiB"`);
};

export const isolationReaders: { readonly [K in keyof ReadIsolation]: Read<ReadIsolation[K]> } = {
  isolation: optional(oneOf(...ISOLATIONS)),
  memory: optional(memoryMiB),
  cancelGrace: optional(durationMs()),
};

/** Their part of a task's definition; what was not told is not there, so that a version does not change for it. */
export function isolationOf(
  read: ReadIsolation,
): Pick<TaskDefinition, 'isolation' | 'memoryMiB' | 'cancelGraceMs'> {
  const isolation = read.isolation ?? (read.memory === null ? null : 'process');
  if (isolation === 'shared' && read.memory !== null) {
    throw new DefinitionError(
      'memory: only a process of its own has a limit, and isolation is "shared"',
    );
  }
  return {
    ...(isolation === null ? {} : { isolation }),
    ...(read.memory === null ? {} : { memoryMiB: read.memory }),
    ...(read.cancelGrace === null ? {} : { cancelGraceMs: read.cancelGrace }),
  };
}
