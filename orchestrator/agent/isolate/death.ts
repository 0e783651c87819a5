/** Tells how a worker process ended, in words that lead to the cause. */

/** The process of an isolated attempt ended before the attempt had. */
export class ProcessDied extends Error {
  override readonly name: string;

  constructor(name: 'OutOfMemory' | 'ProcessExit' | 'ProcessKilled', message: string) {
    super(message);
    this.name = name;
  }
}

export interface Death {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The last that it wrote on standard error. */
  readonly said: string;
  readonly memoryMiB: number | null;
}

const OUT_OF_MEMORY = /heap out of memory|Allocation failed|OOM error in V8/;
/** V8's own words about its last collection: `… 61.9 (64.8) -> 61.5 (64.8) MB …`. */
const HEAP_SIZE = /-> (\d+)\.\d+ \(\d+(?:\.\d+)?\) MB/g;

export function explainDeath({ code, signal, said, memoryMiB }: Death): ProcessDied {
  if (OUT_OF_MEMORY.test(said)) {
    const seen = [...said.matchAll(HEAP_SIZE)].at(-1)?.[1];
    const at = memoryMiB ?? seen;
    const advice =
      memoryMiB === null ? 'give it more with the option "memory"' : 'its option "memory" says so';
    const where = at === undefined ? '' : ` at ${at} MiB`;
    return new ProcessDied('OutOfMemory', `out of memory${where}: ${advice}`);
  }
  if (signal === null) {
    return new ProcessDied(
      'ProcessExit',
      `its process ended with exit code ${code} before the task had ended`,
    );
  }
  const by =
    signal === 'SIGKILL' ? ', by hand or by the system (which may have run out of memory)' : '';
  return new ProcessDied('ProcessKilled', `its process was ended by ${signal}${by}`);
}
