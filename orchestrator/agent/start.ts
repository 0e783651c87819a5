/** An agent: registers, works in a session until that is lost, registers anew, until it is stopped. */
import { createHash } from 'node:crypto';
import type { RegisterReply } from '../../domain/agent-protocol.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/time.ts';
import { type AgentDefinitions, withFormer } from '../define/registry.ts';
import { captureConsole } from './console-capture.ts';
import { Aborted } from './failure.ts';
import { guardProcess } from './isolate/guard.ts';
import { WorkerPool, type WorkerPoolOptions } from './isolate/pool.ts';
import { LogBuffer } from './log-buffer.ts';
import { isSessionGone, pause, persist } from './persist.ts';
import { followServer } from './server-clock.ts';
import { Session } from './session.ts';
import { ConnectionLost, type Transport } from './transport.ts';

export interface AgentOptions {
  readonly transport: Transport;
  /** What it can run: `definitionsOf([…])` or `registryOf(await loadWorkflows(…))`. */
  readonly definitions: AgentDefinitions;
  readonly name: string;
  readonly queues: readonly string[];
  /** Environment that it works for; production unless told. */
  readonly environment?: string | undefined;
  /** What it has that tasks may require. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Tasks at a time. */
  readonly concurrency: number;
  /** Takes what an operator should know, one line each. */
  log(message: string): void;
  readonly clock?: Clock;
  /** How long `stop` lets running tasks go on before it aborts them; 5 s unless told. */
  readonly drainMs?: number;
  /**
   * For an agent that has its process for itself: tasks are told apart in it, so that what they print is logged and
   * what they break is their own failure; and there are processes for those that need one.
   */
  readonly isolation?: Pick<
    WorkerPoolOptions,
    'mode' | 'maxWorkers' | 'setup' | 'env' | 'blockLimitMs'
  >;
  /** Told of each session that is registered. */
  onSession?(sessionId: string): void;
}

export interface RunningAgent {
  /** Takes no more work, drains, aborts what is left, hands it back. */
  stop(): Promise<void>;
  /** Resolves when it has stopped; rejects where the server will never take it (a wrong token). */
  readonly ended: Promise<void>;
  /** Tasks under way. */
  running(): number;
  /** The session's id while one is registered. */
  sessionId(): string | null;
  /** Registers what changed files define now; what runs goes on. */
  redefine(definitions: AgentDefinitions): Promise<void>;
}

const DRAIN_MS = 5_000;
const ABORT_MS = 1_000;
const STOP_MS = 1_500;
const REFUSED_PAUSE_MS = 1_000;

/** Starts an agent; it registers, and goes on trying, in the background. */
export function startAgent(options: AgentOptions): RunningAgent {
  return new Agent(options);
}

class Agent implements RunningAgent {
  readonly ended: Promise<void>;
  readonly #options: AgentOptions;
  readonly #clock: Clock;
  readonly #logs: LogBuffer;
  readonly #workers: WorkerPool | null;
  readonly #stopping = new AbortController();
  #definitions: AgentDefinitions;
  /** What the files say now, without what they said before. */
  #told: AgentDefinitions;
  #session: Session | undefined;
  #noticed: ReadonlySet<string> = new Set();
  #stopped: Promise<void> | undefined;

  constructor(options: AgentOptions) {
    const followed = followServer(options.transport);
    this.#options = { ...options, transport: followed.transport };
    this.#clock = options.clock ?? followed.clock;
    this.#definitions = options.definitions;
    this.#told = options.definitions;
    this.#logs = new LogBuffer(this.#clock, async (request) => {
      if (!this.#session) throw new ConnectionLost('there is no session', undefined);
      await options.transport.logs(this.#session.id, request);
    });
    this.#workers = options.isolation ? this.#isolate(options.isolation) : null;
    this.ended = this.#work();
    // Who is interested asks for it; for the others it stands in the log.
    this.ended.catch((error: unknown) => options.log(`gives up: ${messageOf(error)}`));
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  running(): number {
    return this.#session?.executing ?? 0;
  }

  sessionId(): string | null {
    return this.#session?.id ?? null;
  }

  async redefine(definitions: AgentDefinitions): Promise<void> {
    // What is on its way was given for the files as they were.
    this.#definitions = withFormer(definitions, this.#told);
    this.#told = definitions;
    this.#workers?.define(this.#definitions);
    const session = this.#session;
    if (session === undefined) return;
    try {
      this.#tell(await this.#register(session.id));
    } catch (error) {
      // The next session is registered with them.
      if (!(error instanceof SignalboxError && isSessionGone(error))) throw error;
    }
  }

  #isolate(settings: NonNullable<AgentOptions['isolation']>): WorkerPool {
    const { log } = this.#options;
    captureConsole(true);
    guardProcess(log);
    const shared = { clock: this.#clock, logs: this.#logs, log };
    return new WorkerPool(this.#definitions, { ...settings, ...shared });
  }

  /** @param session one that goes on with what is defined now; a new one unless told */
  async #register(session?: string): Promise<RegisterReply> {
    const { transport, name, queues, concurrency, labels = {}, log, environment } = this.#options;
    let told = false;
    const call = () => {
      const { definitions, fileErrors } = this.#told;
      const version = versionOf(definitions);
      const where = {
        ...(environment === undefined ? {} : { environment }),
        ...(session === undefined ? {} : { session }),
      };
      const own = { ...where, name, queues, concurrency, labels, version };
      return transport.register({ ...own, definitions, fileErrors });
    };
    return persist(call, this.#stopping.signal, (error) => {
      if (!told) log(`cannot reach the server, and goes on trying: ${error.message}`);
      told = true;
    });
  }

  /** Each notice once, however often the agent registers. */
  #tell({ notices = [] }: RegisterReply): void {
    for (const notice of notices) {
      if (!this.#noticed.has(notice)) this.#options.log(notice);
    }
    this.#noticed = new Set(notices);
  }

  async #work(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await this.#workInSession(await this.#register());
      } catch (error) {
        if (signal.aborted) return;
        if (isHopeless(error)) throw error;
        this.#options.log(`could not register: ${messageOf(error)}`);
        await pause(REFUSED_PAUSE_MS, signal).catch(() => undefined);
      }
    }
  }

  async #workInSession(registered: RegisterReply): Promise<void> {
    const { transport, name, concurrency, log } = this.#options;
    const deps = {
      ...{ transport, name, concurrency, log },
      ...{ clock: this.#clock, logs: this.#logs },
      workers: this.#workers,
      // What is done in the user's own database is told apart by whose code does it.
      scoped: this.#workers !== null || this.#options.environment !== undefined,
    };
    const session = new Session({ ...deps, definitions: () => this.#definitions }, registered);
    this.#session = session;
    log(`registered as session ${session.id}`);
    this.#tell(registered);
    this.#options.onSession?.(session.id);
    await session.run();
    // One that is stopped still hands back what it holds.
    if (!this.#stopping.signal.aborted) this.#session = undefined;
  }

  async #stop(): Promise<void> {
    const { drainMs = DRAIN_MS } = this.#options;
    this.#stopping.abort(new Aborted('stopping', 'the agent stops'));
    await this.#session?.drain(drainMs, ABORT_MS, STOP_MS);
    await this.#workers?.stop();
    await this.ended.catch(() => undefined);
    this.#session = undefined;
    await this.#options.transport.close();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function isHopeless(error: unknown): boolean {
  return error instanceof SignalboxError && ['unauthenticated', 'forbidden'].includes(error.code);
}

const VERSION_LENGTH = 12;

/** Tells agents apart that read different code. */
function versionOf(definitions: AgentDefinitions['definitions']): string {
  const hash = createHash('sha256').update(JSON.stringify(definitions));
  return hash.digest('hex').slice(0, VERSION_LENGTH);
}
