/** One connection to the engine: calls, streams, and a way to end them from outside. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Session } from 'chdb';
import { fromEngine } from './exceptions.ts';
import type { Reading, ResultPipes } from './result-pipes.ts';

/** What a call took, and its result unless that went through a pipe. */
export interface EngineResult {
  readonly bytes: Uint8Array;
  readonly rowsRead: number;
  readonly bytesRead: number;
  readonly elapsedSeconds: number;
}

/** A connection as its users see it. Not for two calls at a time. */
export interface EngineConnection {
  /** Runs a statement, or several separated by `;` whose results follow each other. */
  run(sql: string, format: string): Promise<EngineResult>;
  /** Runs a statement that writes its result into the file whose path it is given. */
  stream(sql: (path: string) => string, format: string): Reading<EngineResult>;
  /** Ends whatever runs on this connection. */
  cancel(): Promise<void>;
  /** Gives it back. Where the client may have changed it, it is closed, else kept for the same use. */
  giveBack(state: { isUnchanged: boolean; hasFailed?: boolean }): Promise<void>;
}

/** A connection as its owner sees it. */
export interface Connection extends Omit<EngineConnection, 'giveBack'> {
  /** Marks its queries among all that run. */
  readonly tag: string;
  /** Settles when no cancellation is on its way any more. */
  cancelled(): Promise<void>;
  close(): void;
}

const CANCEL_AGAIN_MS = 100;

/** Makes a connection of a session. */
export function makeConnection(
  session: Session,
  pipes: ResultPipes,
  kill: (tag: string) => Promise<void>,
): Connection {
  const tag = randomUUID();
  let running = 0;
  let calls = 0;
  const run: Connection['run'] = async (sql, format) => {
    running += 1;
    calls += 1;
    try {
      const result = await session.queryAsync(sql, { format });
      const { rowsRead, bytesRead, elapsed } = result;
      return { bytes: result.bytes(), rowsRead, bytesRead, elapsedSeconds: elapsed };
    } catch (error) {
      throw fromEngine(error);
    } finally {
      running -= 1;
    }
  };
  let cancelling: Promise<void> = Promise.resolve();
  const cancelNow = async () => {
    const call = calls;
    // A query that has only just begun is not yet in the engine's list: look again.
    while (running > 0 && calls === call) {
      await kill(tag);
      await delay(CANCEL_AGAIN_MS);
    }
  };
  const cancel = () => {
    cancelling = Promise.allSettled([cancelling, cancelNow()]).then(() => undefined);
    return cancelling;
  };
  return {
    tag,
    run,
    cancelled: () => cancelling,
    stream: (sql, format) =>
      pipes.read(
        (path) => run(sql(path), format),
        () => void cancel().catch(() => undefined),
      ),
    cancel,
    close: () => session.close(),
  };
}
