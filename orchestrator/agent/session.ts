/**
 * One registered session: it claims, runs, completes and beats until it is stopped or lost.
 *
 * A slot is taken from the moment an assignment arrives until its completion is acknowledged, so that the answer
 * can fill the very slot with what became ready; a claim under way keeps the slots that it asked for. When the line
 * is cut nothing is given up: tasks go on, completions are sent again, until the server itself says that the
 * session is lost. Then all of it is somebody else's, and is stopped.
 */
import { setMaxListeners } from 'node:events';
import type { Tracer } from '@opentelemetry/api';
import type { Assignment, HeartbeatReply, RegisterReply } from '../../domain/agent-protocol.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/time.ts';
import type { Definition, Handler } from '../define/definition.ts';
import type { AgentDefinitions } from '../define/registry.ts';
import { applyCeilings, reportPools } from '../pools/registered.ts';
import { Batcher } from './batcher.ts';
import { codeNameOf } from './code-name.ts';
import { refusedEnd } from './encode.ts';
import { Aborted } from './failure.ts';
import { type InvokeCalls, invoke } from './invoke.ts';
import type { WorkerPool } from './isolate/pool.ts';
import type { LogBuffer } from './log-buffer.ts';
import { isSessionGone, pause, persist, unlessAborted, withinMs } from './persist.ts';
import { RunningTask, type TaskHost } from './running-task.ts';
import { lookForEver } from './sensor-looks.ts';
import { sessionCalls } from './session-calls.ts';
import { TaskScope, withinTask } from './task-scope.ts';
import { activeTracer } from './tracing.ts';
import { ConnectionLost, type EndedAttempt, type Transport } from './transport.ts';

export interface SessionDeps {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly name: string;
  readonly concurrency: number;
  readonly logs: LogBuffer;
  /** Whether the code of each task is told apart: its printing is logged, and what it breaks is its own failure. */
  readonly scoped: boolean;
  /** Processes for tasks that are not to run in this one; null where there are none. */
  readonly workers: WorkerPool | null;
  definitions(): AgentDefinitions;
  log(message: string): void;
}

const CLAIM_WAIT_MS = 10_000;
const COMPLETIONS_A_CALL = 500;
const COMPLETE_CALLS = 4;
const MAX_CALL_CHARACTERS = 8_388_608;
const LEAST_BEAT_LIMIT_MS = 500;
/** Tokens of ended attempts that are kept in mind at least. */
const LEAST_DONE = 1_000;
const REFUSED_PAUSE_MS = 1_000;

export class Session {
  readonly id: string;
  readonly #deps: SessionDeps;
  readonly #beatMs: number;
  /** No longer than a lease: a server may take a dead agent's claim for one that waits. */
  readonly #claimWaitMs: number;
  readonly #held = new Map<string, RunningTask>();
  readonly #completions: Batcher<EndedAttempt>;
  readonly #host: TaskHost;
  readonly #calls: InvokeCalls;
  /** Aborted when the session is over, for whatever reason. */
  readonly #over = new AbortController();
  /** Aborted when it looks for no sensor any more. */
  readonly #looking = new AbortController();
  #claiming = new AbortController();
  #taken = 0;
  #reserved = 0;
  /** Free slots that completions under way let the server fill, beside their own. */
  #offered = 0;
  /** Tokens of what ended last. */
  readonly #done = new Set<string>();
  #executing = 0;
  #draining = false;
  #slotFreed: (() => void) | undefined;
  /** Looked up with each answer: the process's SDK may be set up later. */
  #tracer: Tracer | null = null;

  constructor(deps: SessionDeps, registered: RegisterReply) {
    this.#deps = deps;
    // Every call under way listens.
    setMaxListeners(0, this.#over.signal);
    this.id = registered.sessionId;
    this.#beatMs = registered.heartbeatEveryMs;
    this.#claimWaitMs = Math.min(CLAIM_WAIT_MS, registered.leaseMs / 2);
    this.#completions = new Batcher((batch) => this.#complete(batch), {
      maxItems: COMPLETIONS_A_CALL,
      maxInFlight: COMPLETE_CALLS,
      size: ({ json }) => json.length,
      maxSize: MAX_CALL_CHARACTERS,
    });
    this.#calls = sessionCalls({
      ...{ sessionId: this.id, over: this.#over.signal, concurrency: deps.concurrency },
      ...{ transport: deps.transport, clock: deps.clock, logs: deps.logs },
      exportNames: (assetKey) => deps.definitions().exportNames(assetKey),
      definitions: () => deps.definitions(),
      lend: (slots) => this.#lend(slots),
    });
    this.#host = {
      clock: deps.clock,
      agentName: deps.name,
      tracer: () => this.#tracer,
      log: (task) => deps.logs.of(task.assignment),
      invoke: (task, definition, handler) => this.#invoke(task, definition, handler),
      ended: (task, end) => this.#ended(task, end),
    };
  }

  /** Tasks whose code runs. */
  get executing(): number {
    return this.#executing;
  }

  /** Works until the session is lost or `drain` has ended it. */
  async run(): Promise<void> {
    await Promise.all([
      this.#claimForEver(),
      this.#beatForEver(),
      lookForEver(this.id, this.#deps, this.#looking.signal),
    ]);
  }

  /** Takes no more work, lets what runs go on for a while, aborts the rest and hands it back. */
  async drain(drainMs: number, abortMs: number, stopMs: number): Promise<void> {
    this.#draining = true;
    this.#looking.abort(new Aborted('stopping', 'the agent stops'));
    this.#claiming.abort(new Aborted('stopping', 'the agent stops'));
    this.#wakeClaim();
    await withinMs(this.#allEnded(), drainMs);
    const left = [...this.#held.values()].filter((task) => !task.over);
    if (left.length > 0) this.#deps.log(`stops in the middle of ${left.length} tasks`);
    for (const task of left) task.abort(new Aborted('stopping', 'the agent stops'));
    // What is handed back must not run here any more.
    const ended = left.length > 0 ? this.#deps.workers?.stop() : undefined;
    const told = [this.#completions.idle(), this.#deps.logs.flush(), ended];
    await withinMs(Promise.all(told), abortMs);
    const stop = persist(() => this.#deps.transport.stop(this.id), this.#over.signal);
    await withinMs(
      stop.catch((error: unknown) => this.#deps.log(`could not hand back its session: ${error}`)),
      stopMs,
    );
    this.#end('the agent stops');
  }

  async #allEnded(): Promise<void> {
    while (this.#held.size > 0 && !this.#over.signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#slotFreed = resolve;
      });
    }
  }

  #end(why: string): void {
    if (this.#over.signal.aborted) return;
    const lost = new Aborted('lost', why);
    this.#over.abort(lost);
    this.#looking.abort(lost);
    this.#claiming.abort(lost);
    for (const task of [...this.#held.values()]) task.abort(lost);
    this.#wakeClaim();
  }

  #lost(error: unknown): void {
    if (this.#over.signal.aborted) return;
    const detail = error instanceof Error ? error.message : String(error);
    this.#deps.log(`session ${this.id} is lost, ${this.#executing} tasks are aborted: ${detail}`);
    this.#end(`the session was lost: ${detail}`);
  }

  // Claiming ------------------------------------------------------------------------------------------------

  async #claimForEver(): Promise<void> {
    while (!this.#draining && !this.#over.signal.aborted) {
      const capacity = this.#freeSlots();
      if (capacity <= 0) {
        await new Promise<void>((resolve) => {
          this.#slotFreed = resolve;
        });
        continue;
      }
      await this.#claim(capacity).catch((error: unknown) => this.#claimFailed(error));
    }
  }

  async #claim(capacity: number): Promise<void> {
    this.#reserved = capacity;
    try {
      const request = { capacity, waitMs: this.#claimWaitMs };
      const { signal } = this.#claiming;
      const reply = await persist(
        () => this.#deps.transport.claim(this.id, request, signal),
        signal,
      );
      this.#reserved = 0;
      this.#cancel(reply.cancel ?? []);
      this.#tracer = activeTracer();
      for (const assignment of reply.assignments) this.#start(assignment);
    } finally {
      this.#reserved = 0;
    }
  }

  async #claimFailed(error: unknown): Promise<void> {
    if (this.#draining || this.#over.signal.aborted) return;
    if (this.#claiming.signal.aborted) {
      this.#claiming = new AbortController();
    } else if (error instanceof SignalboxError && isSessionGone(error)) {
      this.#lost(error);
    } else {
      this.#deps.log(`a claim was refused: ${error}`);
      await pause(REFUSED_PAUSE_MS, this.#over.signal).catch(() => undefined);
    }
  }

  #wakeClaim(): void {
    const wake = this.#slotFreed;
    this.#slotFreed = undefined;
    wake?.();
  }

  #start(assignment: Assignment): void {
    const { token } = assignment;
    if (this.#over.signal.aborted || this.#held.has(token) || this.#done.has(token)) return;
    const { workers } = this.#deps;
    const place = workers?.placeOf(assignment);
    const task = new RunningTask(assignment, this.#host, place?.cancelGraceMs);
    this.#held.set(assignment.token, task);
    this.#taken += 1;
    this.#executing += 1;
    const own = place?.process;
    if (workers && own) workers.run(task, own, this.#calls);
    else this.#begin(task);
  }

  #begin(task: RunningTask): void {
    const found = this.#deps.definitions().find(codeNameOf(task.assignment));
    if (found instanceof Promise) found.then((definition) => task.run(definition), task.fail);
    else task.run(found);
  }

  #invoke(task: RunningTask, definition: Definition, handler: Handler): unknown {
    const { scoped, logs } = this.#deps;
    if (!scoped) return invoke(task, this.#calls, definition, handler);
    return withinTask(new TaskScope(task, logs), () =>
      invoke(task, this.#calls, definition, handler),
    );
  }

  // Completing ----------------------------------------------------------------------------------------------

  #ended(task: RunningTask, end: EndedAttempt | null): void {
    this.#executing -= 1;
    if (end === null) this.#release(task.assignment.token);
    else this.#completions.add(end);
  }

  #release(token: string): void {
    if (this.#held.delete(token)) this.#taken -= 1;
    this.#wakeClaim();
  }

  async #complete(batch: readonly EndedAttempt[]): Promise<void> {
    const over = this.#over.signal;
    const take = this.#takeFor(batch.length);
    // The batch's own slots are taken until the answer, and are not counted twice: another call would take nothing.
    let offered = Math.max(0, take - batch.length);
    this.#offered += offered;
    try {
      const reply = await persist(() => this.#deps.transport.complete(this.id, batch, take), over);
      this.#offered -= offered;
      offered = 0;
      for (const { runId, taskKey, outcome } of reply.outcomes) {
        if (outcome === 'lease-lost') {
          this.#deps.log(
            `${taskKey} of run ${runId} was finished by another agent: result dropped`,
          );
        }
      }
      for (const { assignment } of batch) {
        if (this.#held.delete(assignment.token)) this.#taken -= 1;
        this.#noteDone(assignment.token);
      }
      this.#tracer = activeTracer();
      for (const assignment of reply.assignments) this.#start(assignment);
    } catch (error) {
      this.#offered -= offered;
      this.#completeFailed(batch, error);
    }
    this.#wakeClaim();
  }

  /** All free slots but those that a claim or another call has asked for. */
  #takeFor(ended: number): number {
    return this.#draining ? 0 : Math.max(0, this.#freeSlots() + ended - this.#reserved);
  }

  #freeSlots(): number {
    return this.#deps.concurrency - this.#taken - this.#offered;
  }

  /** A server that got a completion twice tells again what it handed on: some of that may have ended by now. */
  #noteDone(token: string): void {
    this.#done.add(token);
    if (this.#done.size <= Math.max(LEAST_DONE, this.#deps.concurrency)) return;
    const [oldest] = this.#done;
    if (oldest !== undefined) this.#done.delete(oldest);
  }

  /** A session that is gone takes its completions along; a batch that is refused is sent in halves. */
  #completeFailed(batch: readonly EndedAttempt[], error: unknown): void {
    const gone =
      this.#over.signal.aborted || (error instanceof SignalboxError && isSessionGone(error));
    if (!gone && batch.length > 1) {
      const middle = Math.ceil(batch.length / 2);
      void this.#complete(batch.slice(0, middle));
      void this.#complete(batch.slice(middle));
      return;
    }
    const [only] = batch;
    const instead = gone || only === undefined ? null : refusedEnd(only, error);
    if (instead !== null) {
      this.#completions.add(instead);
      return;
    }
    for (const { assignment } of batch) this.#release(assignment.token);
    const dropped = batch.length === 1 ? only?.assignment.taskKey : `${batch.length} completions`;
    this.#deps.log(`dropped ${dropped}: ${error instanceof Error ? error.message : error}`);
    if (gone) this.#lost(error);
  }

  // Heartbeats ----------------------------------------------------------------------------------------------

  async #beatForEver(): Promise<void> {
    const over = this.#over.signal;
    while (!over.aborted) {
      await pause(this.#beatMs, over).catch(() => undefined);
      if (over.aborted) return;
      try {
        this.#heard(await unlessAborted(this.#beat(), over));
      } catch (error) {
        if (over.aborted) return;
        if (error instanceof SignalboxError && isSessionGone(error)) this.#lost(error);
        // The claim under way most likely hangs on the same dead line: ask anew.
        else if (error instanceof ConnectionLost) this.#claiming.abort(error);
        else this.#deps.log(`a heartbeat was refused: ${error}`);
      }
    }
  }

  #beat(): Promise<HeartbeatReply> {
    const report = {
      running: this.#executing,
      pools: this.#deps.workers?.withPools(reportPools()) ?? reportPools(),
      tokens: [...this.#held.keys()],
    };
    return this.#deps.transport.heartbeat(
      this.id,
      report,
      Math.max(LEAST_BEAT_LIMIT_MS, this.#beatMs),
    );
  }

  #heard(reply: HeartbeatReply): void {
    applyCeilings(reply.pools);
    this.#deps.workers?.applyCeilings(reply.pools);
    if (!reply.sessionValid) {
      this.#lost('the server gave it up');
      return;
    }
    this.#cancel(reply.cancel);
  }

  #cancel(cancel: HeartbeatReply['cancel']): void {
    for (const { token, reason } of cancel) {
      this.#held.get(token)?.abort(new Aborted('cancelled', reason));
    }
  }

  #lend(slots: 1 | -1): void {
    this.#taken -= slots;
    if (slots > 0) this.#wakeClaim();
  }
}
