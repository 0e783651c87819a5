/** An agent: registers, works in a session until that is lost, registers anew, until it is stopped. */
import { createHash } from 'node:crypto';
import type { RegisterReply } from '../../domain/agent-protocol.ts';
import { SignalboxError } from '../../domain/errors.ts';
import { type Clock, systemClock } from '../../domain/time.ts';
import type { AgentDefinitions } from '../define/registry.ts';
import { Aborted } from './failure.ts';
import { LogBuffer } from './log-buffer.ts';
import { pause, persist } from './persist.ts';
import { Session } from './session.ts';
import type { Transport } from './transport.ts';

export interface AgentOptions {
  readonly transport: Transport;
  /** What it can run: `definitionsOf([…])` or `registryOf(await loadWorkflows(…))`. */
  readonly definitions: AgentDefinitions;
  readonly name: string;
  readonly queues: readonly string[];
  /** Tasks at a time. */
  readonly concurrency: number;
  /** Takes what an operator should know, one line each. */
  log(message: string): void;
  readonly clock?: Clock;
  /** How long `stop` lets running tasks go on before it aborts them; 5 s unless told. */
  readonly drainMs?: number;
}

export interface RunningAgent {
  /** Takes no more work, drains, aborts what is left, hands it back. Safe to call twice. */
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
  const { transport, log, clock = systemClock, drainMs = DRAIN_MS } = options;
  const stopping = new AbortController();
  let definitions = options.definitions;
  let session: Session | undefined;
  let stopped: Promise<void> | undefined;

  const logs = new LogBuffer(clock, async (request) => {
    if (session) await transport.logs(session.id, request);
  });

  async function register(): Promise<RegisterReply> {
    let told = false;
    return persist(
      () =>
        transport.register({
          name: options.name,
          queues: options.queues,
          concurrency: options.concurrency,
          version: versionOf(definitions),
          definitions: definitions.definitions,
          fileErrors: definitions.fileErrors,
        }),
      stopping.signal,
      (error) => {
        if (!told) log(`cannot reach the server, and goes on trying: ${error.message}`);
        told = true;
      },
    );
  }

  async function work(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        const registered = await register();
        session = new Session(
          { ...options, clock, logs, definitions: () => definitions },
          registered,
        );
        log(`registered as session ${session.id}`);
        await session.run();
      } catch (error) {
        if (stopping.signal.aborted) return;
        if (isHopeless(error)) throw error;
        log(`could not register: ${error instanceof Error ? error.message : error}`);
        await pause(REFUSED_PAUSE_MS, stopping.signal).catch(() => undefined);
      } finally {
        if (!stopping.signal.aborted) session = undefined;
      }
    }
  }

  async function stop(): Promise<void> {
    stopping.abort(new Aborted('stopping', 'the agent stops'));
    await session?.drain(drainMs, ABORT_MS, STOP_MS);
    await ended.catch(() => undefined);
    session = undefined;
    await transport.close();
  }

  const ended = work();
  // Who is interested asks for it; for the others it stands in the log.
  ended.catch((error: unknown) =>
    log(`gives up: ${error instanceof Error ? error.message : error}`),
  );
  return {
    stop() {
      stopped ??= stop();
      return stopped;
    },
    ended,
    running: () => session?.executing ?? 0,
    sessionId: () => session?.id ?? null,
    async redefine(next) {
      definitions = next;
      if (session === undefined) return;
      // A session is registered with its definitions; one that only brings them is ended at once.
      const { sessionId } = await register();
      await persist(() => transport.stop(sessionId), stopping.signal);
    },
  };
}

function isHopeless(error: unknown): boolean {
  return error instanceof SignalboxError && ['unauthenticated', 'forbidden'].includes(error.code);
}

const VERSION_LENGTH = 12;

/** Tells agents apart that read different code. */
function versionOf({ definitions }: AgentDefinitions): string {
  const hash = createHash('sha256').update(JSON.stringify(definitions));
  return hash.digest('hex').slice(0, VERSION_LENGTH);
}
