/**
 * The worker processes of an agent. One is started when the first task needs it and kept warm for the next; a
 * process is used again only where its last task left nothing in it. Their number has a limit; beyond it tasks wait.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type {
  AgentPoolReport,
  Assignment,
  Isolation,
  LogsRequest,
} from '../../../domain/agent-protocol.ts';
import { type Clock, systemClock } from '../../../domain/time.ts';
import { FLOW_TASK } from '../../define/flow.ts';
import type { AgentDefinitions } from '../../define/registry.ts';
import { toRunError } from '../error-record.ts';
import type { InvokeCalls } from '../invoke.ts';
import type { LogBuffer } from '../log-buffer.ts';
import type { RunningTask } from '../running-task.ts';
import { type OwnProcess, type Placement, type Placements, placementsOf } from './placement.ts';
import { Reaper } from './reaper.ts';
import { type WorkerHost, type WorkerOptions, WorkerProcess } from './worker-process.ts';

export interface WorkerPoolOptions {
  readonly mode: Isolation;
  /** Tasks at a time that have a process of their own. */
  readonly maxWorkers: number;
  /** Module that each worker loads first, as a URL; it may set up telemetry. */
  readonly setup?: string;
  /** Added to the environment of workers. */
  readonly env?: Readonly<Record<string, string>>;
  /** How long code that asked for no process of its own may block one; 60 s unless told. */
  readonly blockLimitMs?: number;
  readonly clock: Clock;
  readonly logs: LogBuffer;
  log(message: string): void;
}

const TASKS_A_WORKER = 1_000;
const IDLE_MS = 30_000;
const BLOCK_LIMIT_MS = 60_000;
const END_LIMIT_MS = 2_000;
/** A little more than tasks of somebody else's have before their processes are ended. */
const LAST_GRACE_MS = 500;
const LAST_LOOK_MS = 20;
/** Starts in a row that may fail before tasks fail for it. */
const MAX_FAILED_STARTS = 3;

interface Waiting {
  readonly task: RunningTask;
  readonly place: OwnProcess;
  readonly calls: InvokeCalls;
}

export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #reaper = new Reaper();
  readonly #workers = new Set<WorkerProcess>();
  readonly #parked = new Map<WorkerProcess, number>();
  readonly #idleTimers = new Map<WorkerProcess, NodeJS.Timeout>();
  readonly #host: WorkerHost;
  #waiting: Waiting[] = [];
  #placements: Placements;
  #definitions: AgentDefinitions;
  #ceilings: Readonly<Record<string, number>> = {};
  #failedStarts = 0;
  #stopped = false;

  constructor(definitions: AgentDefinitions, options: WorkerPoolOptions) {
    this.#options = options;
    this.#definitions = definitions;
    this.#placements = this.#place(definitions);
    this.#host = {
      clockAheadMs: () => Math.round(options.clock.now() - systemClock.now()),
      log: (task) => options.logs.of(task.assignment),
      takeLogs: (assignment: Assignment, request: LogsRequest) =>
        options.logs.take(assignment, request),
      sourceOf: (name) => this.#definitions.sourceOf(name),
      parked: (worker, isParked) => this.#countParked(worker, isParked),
      free: (worker) => this.#free(worker),
      died: (task, calls, error) => this.#died(task, calls, error),
      gone: (worker) => this.#gone(worker),
    };
    this.#warmUp();
  }

  /** Where an attempt is to run. */
  placeOf(assignment: Assignment): Placement {
    return this.#placements.of(assignment);
  }

  /** What changed files define now; workers that hold the old code are not used again. */
  define(definitions: AgentDefinitions): void {
    this.#definitions = definitions;
    this.#placements = this.#place(definitions);
    for (const worker of [...this.#idleTimers.keys()]) this.#retire(worker);
    this.#warmUp();
  }

  /** Runs an attempt in a process of its own; its end is told by the task itself. */
  run(task: RunningTask, place: OwnProcess, calls: InvokeCalls): void {
    const one = { task, place, calls };
    task.runIn({
      abort: (reason) => {
        this.#waiting = this.#waiting.filter((waiting) => waiting !== one);
        task.fail(reason);
      },
    });
    this.#waiting.push(one);
    this.#serve();
  }

  /** The pools of this process and of its workers, each name once. */
  withPools(own: readonly AgentPoolReport[]): AgentPoolReport[] {
    const byName = new Map(own.map((pool) => [pool.name, pool]));
    for (const pool of [...this.#workers].flatMap((worker) => worker.pools)) {
      const known = byName.get(pool.name);
      byName.set(pool.name, known === undefined ? pool : together(known, pool));
    }
    return [...byName.values()];
  }

  /** A ceiling is for the agent: its processes share it. */
  applyCeilings(ceilings: Readonly<Record<string, number>>): void {
    this.#ceilings = ceilings;
    const shared = this.#sharedCeilings();
    for (const worker of this.#workers) worker.send({ type: 'ceilings', ceilings: shared });
  }

  /** Ends all processes, those whose tasks were told to stop a little later; resolves when they are gone. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const until = performance.now() + LAST_GRACE_MS;
    const isBusy = () => [...this.#workers].some((worker) => worker.isBusy);
    while (isBusy() && performance.now() < until) await delay(LAST_LOOK_MS);
    const all = [...this.#workers];
    for (const worker of all) worker.end();
    const limit = new AbortController();
    await Promise.race([
      Promise.all(all.map((worker) => worker.ended())),
      delay(END_LIMIT_MS, undefined, { signal: limit.signal }).catch(() => undefined),
    ]);
    limit.abort();
    this.#reaper.close();
  }

  #place(definitions: AgentDefinitions): Placements {
    const { mode, blockLimitMs = BLOCK_LIMIT_MS } = this.#options;
    return placementsOf(definitions, mode, blockLimitMs);
  }

  #warmUp(): void {
    if (this.#placements.needsProcesses && this.#workers.size === 0) this.#start(null);
  }

  #sharedCeilings(): Record<string, number> {
    const processes = 1 + this.#workers.size;
    return Object.fromEntries(
      Object.entries(this.#ceilings).map(([name, max]) => [
        name,
        max === 0 ? 0 : Math.max(1, Math.floor(max / processes)),
      ]),
    );
  }

  #start(memoryMiB: number | null): void {
    const { setup = null, env = {} } = this.#options;
    const { generation } = this.#definitions;
    const options: WorkerOptions = { memoryMiB, setup, env, generation };
    const worker = new WorkerProcess(options, this.#host);
    this.#workers.add(worker);
    if (worker.pid > 0) this.#reaper.add(worker.pid);
    this.applyCeilings(this.#ceilings);
  }

  #free(worker: WorkerProcess): void {
    this.#failedStarts = 0;
    const isOld = worker.options.generation !== this.#definitions.generation;
    if (isOld || worker.tasks >= TASKS_A_WORKER || this.#stopped) {
      this.#retire(worker);
    } else {
      const timer = setTimeout(() => this.#retire(worker), IDLE_MS);
      timer.unref();
      this.#idleTimers.set(worker, timer);
    }
    this.#serve();
  }

  /** A flow that dies with its process has failed as any other that fails: its next attempt tries failed steps anew. */
  async #died(task: RunningTask, calls: InvokeCalls, error: Error): Promise<void> {
    const { kind, attempt, runId, token } = task.assignment;
    if (kind !== 'flow' || task.over || !task.countsAsFailed) return;
    const at = this.#options.clock.now();
    await calls
      .record({
        ...{ runId, token, key: `${FLOW_TASK}@${attempt}`, state: 'failed' },
        ...{ error: toRunError(error), startedAt: at, finishedAt: at },
      })
      .catch(() => undefined);
  }

  #retire(worker: WorkerProcess): void {
    this.#notIdle(worker);
    worker.end();
  }

  #notIdle(worker: WorkerProcess): void {
    clearTimeout(this.#idleTimers.get(worker));
    this.#idleTimers.delete(worker);
  }

  #gone(worker: WorkerProcess): void {
    this.#notIdle(worker);
    this.#workers.delete(worker);
    this.#parked.delete(worker);
    if (worker.pid > 0) this.#reaper.remove(worker.pid);
    if (worker.tasks === 0 && !this.#stopped) this.#failedStart(worker);
    this.#serve();
  }

  #failedStart(worker: WorkerProcess): void {
    if (this.#waiting.length === 0) return;
    this.#failedStarts += 1;
    this.#options.log(`a worker process did not start: ${worker.lastWords}`);
    if (this.#failedStarts < MAX_FAILED_STARTS) return;
    for (const { task } of this.#waiting.splice(0)) {
      task.fail(new Error(`no process could be started for it: ${worker.lastWords}`));
    }
  }

  /** Gives idle workers to those who wait, and starts new ones where there is room. */
  #serve(): void {
    if (this.#stopped) return;
    let starting = [...this.#workers].filter((worker) => !worker.isReady).length;
    const left: Waiting[] = [];
    for (const one of this.#waiting) {
      const fit = [...this.#idleTimers.keys()].find((worker) => fits(worker, one.place));
      if (fit !== undefined) {
        this.#notIdle(fit);
        this.#give(fit, one);
        continue;
      }
      left.push(one);
      if (starting > 0) {
        starting -= 1;
      } else if (this.#hasRoom()) {
        this.#start(one.place.memoryMiB);
      }
    }
    this.#waiting = left;
  }

  #give(worker: WorkerProcess, { task, place, calls }: Waiting): void {
    worker.run(task, place, calls, this.#sharedCeilings());
  }

  /** A worker whose task waits for something else does not count; of idle ones that do not fit, one makes room. */
  #hasRoom(): boolean {
    const counted = this.#workers.size - this.#parked.size;
    if (counted < this.#options.maxWorkers) return true;
    const [idle] = this.#idleTimers.keys();
    if (idle !== undefined) this.#retire(idle);
    return false;
  }

  #countParked(worker: WorkerProcess, isParked: boolean): void {
    const waits = (this.#parked.get(worker) ?? 0) + (isParked ? 1 : -1);
    if (waits > 0) this.#parked.set(worker, waits);
    else this.#parked.delete(worker);
    if (isParked) this.#serve();
  }
}

function fits(worker: WorkerProcess, { memoryMiB, source }: OwnProcess): boolean {
  const { options } = worker;
  return options.memoryMiB === memoryMiB && options.generation === source.generation;
}

function together(a: AgentPoolReport, b: AgentPoolReport): AgentPoolReport {
  return {
    ...a,
    used: a.used + b.used,
    idle: a.idle + b.idle,
    waiting: a.waiting + b.waiting,
    max: a.max + b.max,
    timeouts: a.timeouts + b.timeouts,
  };
}
