/**
 * A connection to a watched server that is opened beforehand and kept: once the server is full no new one could
 * be had, and that is the very moment at which one is needed. Lost, it is opened again with a growing pause.
 */
import pg from 'pg';
import { SignalboxError } from '../../domain/errors.ts';

const PROBE_APPLICATION = 'signalbox-probe';

const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 5_000;
/** On the client's side, for a line that died without a word. */
const ANSWER_TIMEOUT_MS = 8_000;
const PAUSE_FIRST_MS = 250;
const PAUSE_LARGEST_MS = 5_000;

export type KeptConnection = ReturnType<typeof keepConnection>;

/** Makes the connection's keeper; it connects at the first use. */
export function keepConnection(server: string, url: string) {
  let client: pg.Client | undefined;
  let pauseMs = 0;
  let notBefore = 0;
  let turn: Promise<unknown> = Promise.resolve();
  let closed = false;

  async function open(): Promise<pg.Client> {
    if (client) return client;
    if (closed) throw new SignalboxError('unavailable', `the probe of ${server} was stopped`);
    if (performance.now() < notBefore) throw unreachable(server, 'waiting before the next attempt');
    const fresh = new pg.Client({
      connectionString: url,
      application_name: PROBE_APPLICATION,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      query_timeout: ANSWER_TIMEOUT_MS,
      keepAlive: true,
    });
    // Without a listener a connection that breaks while idle would end the process.
    fresh.on('error', () => drop(fresh));
    fresh.on('end', () => drop(fresh));
    try {
      await fresh.connect();
    } catch (error) {
      pauseMs = Math.min(Math.max(PAUSE_FIRST_MS, pauseMs * 2), PAUSE_LARGEST_MS);
      notBefore = performance.now() + pauseMs;
      void fresh.end().catch(() => undefined);
      throw unreachable(server, error);
    }
    pauseMs = 0;
    client = fresh;
    return fresh;
  }

  function drop(lost: pg.Client): void {
    if (client === lost) client = undefined;
  }

  return {
    /**
     * Runs `work` alone on the connection.
     * @throws SignalboxError `unavailable` where the server cannot be reached
     */
    use<T>(work: (connection: pg.Client) => Promise<T>): Promise<T> {
      const mine = turn.then(async () => {
        const connection = await open();
        try {
          return await work(connection);
        } catch (error) {
          if (!(error instanceof pg.DatabaseError) && !(error instanceof SignalboxError)) {
            drop(connection);
            void connection.end().catch(() => undefined);
            throw unreachable(server, error);
          }
          throw error;
        }
      });
      turn = mine.catch(() => undefined);
      return mine;
    },
    async close(): Promise<void> {
      closed = true;
      await turn;
      const last = client;
      client = undefined;
      await last?.end().catch(() => undefined);
    },
  };
}

function unreachable(server: string, cause: unknown): SignalboxError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new SignalboxError(
    'unavailable',
    `the watched server ${server} does not answer: ${reason}`,
  );
}
