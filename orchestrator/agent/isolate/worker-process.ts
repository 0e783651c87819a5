/**
 * A worker process as its agent sees it: one task at a time, in a process group of its own, so that what the task
 * starts ends with it. Its death is told at once, with its cause; code that does not stop is ended step by step.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { AgentPoolReport } from '../../../domain/agent-protocol.ts';
import type { Aborted } from '../failure.ts';
import type { InvokeCalls } from '../invoke.ts';
import type { AttemptLog } from '../log-buffer.ts';
import type { RunningTask } from '../running-task.ts';
import { explainDeath, ProcessDied } from './death.ts';
import { LineSplitter } from './line-splitter.ts';
import type { ToAgent, ToWorker } from './messages.ts';
import type { OwnProcess } from './placement.ts';
import { type Asked, answerCall, endParks } from './serve-calls.ts';

const TERM_GRACE_MS = 2_000;
/** For what belongs to somebody else already. */
const TAKEN_GRACE_MS = 200;
const LAST_WORDS_MS = 300;
const KEPT_OUTPUT = 8_192;
const PROBE_EVERY_MS = 1_000;
const MEMORY_EVERY_MS = 500;
/** What Node and this package take beside a task's own. */
const PROCESS_MIB = 128;
const PAGE_BYTES = 4_096;
const BYTES_A_MIB = 1_048_576;

export interface WorkerHost {
  readonly clockAheadMs: () => number;
  readonly log: (task: RunningTask) => AttemptLog;
  takeLogs: Parameters<typeof answerCall>[0]['takeLogs'];
  sourceOf: Parameters<typeof answerCall>[0]['sourceOf'];
  /** The task's slot is lent, or its own again. */
  parked(worker: WorkerProcess, isParked: boolean): void;
  /** It is there for the next task; or it is gone, with all that it started. */
  free(worker: WorkerProcess): void;
  /** The task's process is gone before the task had ended. */
  died(task: RunningTask, calls: InvokeCalls, error: Error): Promise<void>;
  gone(worker: WorkerProcess): void;
}

export interface WorkerOptions {
  readonly memoryMiB: number | null;
  readonly generation: number;
  /** Module that is loaded first, as a URL. */
  readonly setup: string | null;
  readonly env: Readonly<Record<string, string>>;
}

interface Running {
  readonly task: RunningTask;
  readonly place: OwnProcess;
  readonly calls: InvokeCalls;
  readonly log: AttemptLog;
  /** What it was ended for, if it was. */
  ending: Aborted | ProcessDied | null;
  readonly timers: NodeJS.Timeout[];
  heardAt: number;
}

const MODULE = fileURLToPath(
  new URL(import.meta.url.endsWith('.js') ? './worker.js' : './worker.ts', import.meta.url),
);

/** What a process holds in memory; 0 where the system does not tell. */
async function residentMiB(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/statm`, 'utf8').catch(() => '');
  return Math.round(((Number(text.split(' ')[1]) || 0) * PAGE_BYTES) / BYTES_A_MIB);
}

export class WorkerProcess {
  readonly options: WorkerOptions;
  readonly pid: number;
  tasks = 0;
  pools: readonly AgentPoolReport[] = [];
  readonly #host: WorkerHost;
  readonly #child: ChildProcess;
  readonly #output: readonly LineSplitter[];
  #said = '';
  #running: Running | null = null;
  #last: Running | null = null;
  #isReady = false;
  #isOver = false;
  #children: readonly number[] = [];
  #probe: NodeJS.Timeout | undefined;

  constructor(options: WorkerOptions, host: WorkerHost) {
    this.options = options;
    this.#host = host;
    const { memoryMiB, setup, env } = options;
    this.#child = fork(MODULE, setup === null ? [] : [setup], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, ...env },
      execArgv: memoryMiB === null ? [] : [`--max-old-space-size=${memoryMiB}`],
    });
    this.pid = this.#child.pid ?? 0;
    const info = new LineSplitter((line) => this.#printed('info', line));
    const warn = new LineSplitter((line) => this.#printed('warn', line));
    this.#output = [info, warn];
    this.#child.stdout?.on('data', (chunk: Uint8Array) => info.write(chunk));
    this.#child.stderr?.on('data', (chunk: Uint8Array) => {
      this.#said = `${this.#said}${chunk}`.slice(-KEPT_OUTPUT);
      warn.write(chunk);
    });
    this.#child.on('message', (message) => this.#hear(message as ToAgent));
    this.#child.once('error', (error) => this.#died(null, null, error.message));
    this.#child.once('exit', (code, signal) => this.#died(code, signal, ''));
  }

  /** Whether it has come up. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** The end of what it wrote on standard error. */
  get lastWords(): string {
    return this.#said.trim();
  }

  run(task: RunningTask, place: OwnProcess, calls: InvokeCalls, ceilings: Record<string, number>) {
    const log = this.#host.log(task);
    const timers: NodeJS.Timeout[] = [];
    const heardAt = performance.now();
    this.#running = { task, place, calls, log, ending: null, timers, heardAt };
    this.#last = this.#running;
    this.#said = '';
    this.tasks += 1;
    task.runIn({ abort: (reason, graceMs) => this.#abort(reason, graceMs) });
    const assignment = { ...task.assignment, traceparent: task.begun() };
    this.send({
      ...{ type: 'run', assignment, ceilings, clockAheadMs: this.#host.clockAheadMs() },
      ...{ name: place.name, source: place.source },
    });
    if (place.blockLimitMs !== null) this.#watch(this.#running, place.blockLimitMs);
    if (place.memoryMiB !== null) this.#limitMemory(this.#running, place.memoryMiB);
  }

  send(message: ToWorker): void {
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  /** Whether a task runs in it. */
  get isBusy(): boolean {
    return this.#running !== null;
  }

  /** Ends it with everything that it started. */
  end(): void {
    this.#kill('SIGKILL');
  }

  /** Resolves when it is gone. */
  async ended(): Promise<void> {
    if (!this.#isOver) await once(this.#child, 'exit');
  }

  #hear(message: ToAgent): void {
    const running = this.#running;
    if (running !== null) running.heardAt = performance.now();
    if (message.type === 'alive') return;
    if (message.type === 'ready') {
      this.#isReady = true;
      this.#host.free(this);
    } else if (message.type === 'pools') {
      this.pools = message.pools;
    } else if (running !== null && message.type === 'ended') {
      void this.#ended(running, message);
    } else if (running !== null && message.type !== 'ended') {
      this.#asked(running, message);
    }
  }

  #asked({ task, calls }: Running, asked: Asked): void {
    const { takeLogs, sourceOf, parked } = this.#host;
    const serving = {
      ...{ task, calls, takeLogs, sourceOf },
      parked: (isParked: boolean) => parked(this, isParked),
      answer: (answer: ToWorker) => this.send(answer),
    };
    answerCall(serving, asked);
  }

  async #ended(running: Running, end: Extract<ToAgent, { type: 'ended' }>): Promise<void> {
    for (const timer of running.timers) clearTimeout(timer);
    clearInterval(this.#probe);
    this.#children = end.children;
    if (end.left !== null) {
      const level = end.children.length > 0 ? 'warn' : 'debug';
      running.log[level](`left behind and ended with its process: ${end.left}`);
      this.#kill('SIGKILL');
    }
    // What it printed on its way is read before the next task begins.
    await new Promise((resolve) => setImmediate(resolve));
    for (const output of this.#output) output.end();
    if (end.completion === null) running.task.fail(running.ending ?? new Error('it has no end'));
    else running.task.settle(end.completion);
    endParks(running.task);
    if (this.#running === running) this.#running = null;
    if (end.left === null && !this.#isOver) this.#host.free(this);
  }

  #printed(level: 'info' | 'warn', line: string): void {
    const log = (this.#running ?? this.#last)?.log;
    if (log?.hasRoom(level)) log[level](line);
  }

  #abort(reason: Aborted, graceMs: number): void {
    const running = this.#running;
    if (running === null) return;
    running.ending ??= reason;
    this.send({ type: 'abort', kind: reason.kind, message: reason.message });
    const taken = reason.kind === 'lost' || reason.kind === 'stopping';
    const patience = taken ? TAKEN_GRACE_MS : graceMs;
    const termMs = taken ? TAKEN_GRACE_MS : TERM_GRACE_MS;
    const say = (text: string) => (taken ? undefined : running.log.warn(text));
    running.timers.push(
      setTimeout(() => {
        say(`its code went on ${patience} ms after it was told to stop: SIGTERM to its process`);
        this.#kill('SIGTERM');
        running.timers.push(
          setTimeout(() => {
            say(`its process went on ${termMs} ms after SIGTERM: SIGKILL`);
            this.#kill('SIGKILL');
          }, termMs),
        );
      }, patience),
    );
  }

  /** Code that never gives the event loop back, and may not do so for long. */
  #watch(running: Running, limitMs: number): void {
    this.#probe = setInterval(() => {
      this.send({ type: 'probe' });
      if (performance.now() - running.heardAt < limitMs || running.ending !== null) return;
      running.ending = new ProcessDied(
        'ProcessKilled',
        `its code blocked the event loop for ${limitMs / 1_000} s, maybe for ever: its process was ended (a timeout, or isolation "process", lets it compute for longer)`,
      );
      this.#kill('SIGKILL');
    }, PROBE_EVERY_MS);
  }

  /** Buffers are no part of the heap that Node limits: what the whole process holds is limited here. */
  #limitMemory(running: Running, memoryMiB: number): void {
    const mostMiB = 2 * memoryMiB + PROCESS_MIB;
    running.timers.push(
      setInterval(async () => {
        const heldMiB = await residentMiB(this.pid);
        if (heldMiB <= mostMiB || running.ending !== null) return;
        running.ending = new ProcessDied(
          'OutOfMemory',
          `out of memory at ${memoryMiB} MiB: its process held ${heldMiB} MiB with its buffers; its option "memory" says how much it may`,
        );
        this.#kill('SIGKILL');
      }, MEMORY_EVERY_MS),
    );
  }

  #kill(signal: NodeJS.Signals): void {
    for (const pid of [this.pid, ...this.#children]) {
      if (pid <= 0) continue;
      try {
        process.kill(-pid, signal);
      } catch {
        // The group is gone.
      }
    }
    this.#child.kill(signal);
  }

  async #died(code: number | null, signal: NodeJS.Signals | null, said: string): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#probe);
    const closed = once(this.#child, 'close').catch(() => undefined);
    // Whatever it started ends with it.
    this.#kill('SIGKILL');
    this.#host.gone(this);
    const running = this.#running;
    if (running === null) return;
    for (const timer of running.timers) clearTimeout(timer);
    await Promise.race([closed, delay(LAST_WORDS_MS)]);
    for (const output of this.#output) output.end();
    if (this.#running !== running) return;
    this.#running = null;
    const { memoryMiB } = this.options;
    const error =
      running.ending ?? explainDeath({ code, signal, memoryMiB, said: `${this.#said}${said}` });
    const how = signal ?? `exit code ${code}`;
    running.log.error(`its process ${this.pid} is gone (${how}): ${error.message}`);
    await this.#host.died(running.task, running.calls, error);
    running.task.fail(error);
    endParks(running.task);
  }
}
