/**
 * Whether the ClickHouse that the configuration names can be worked with, told before anything rests on it. Later
 * it may go away: then telemetry waits on disk.
 */
import type { ClickHouseConfig } from './config.ts';
import { DatabaseError } from './database-error.ts';

const LEAST_VERSION = 24;
const ANSWER_LIMIT_MS = 10_000;

/** @throws DatabaseError that says what is wrong and what to do */
export async function checkClickHouse({ url, writer }: ClickHouseConfig): Promise<void> {
  const where = `ClickHouse at ${new URL(url).host}`;
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(url, {
      method: 'POST',
      headers: { 'x-clickhouse-user': writer.user, 'x-clickhouse-key': writer.password },
      body: 'SELECT version()',
      signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
    });
    text = (await answer.text()).trim();
  } catch (error) {
    const { cause, message } = error as {
      cause?: { code?: string; message?: string };
      message: string;
    };
    const refused = cause?.code === 'ECONNREFUSED';
    throw new DatabaseError(
      refused
        ? `${where} refuses connections`
        : `${where} cannot be reached: ${cause?.message || message}`,
      'Start it, or set CLICKHOUSE_URL to where it is.',
      { cause: error },
    );
  }
  if (answer.status === 401 || answer.status === 403) {
    throw new DatabaseError(
      `${where} refuses the user or the password`,
      'Check the user and the password in CLICKHOUSE_URL.',
    );
  }
  const [, version] = /^(\d+)\.\d+/.exec(text) ?? [];
  if (!answer.ok || version === undefined) {
    throw new DatabaseError(
      `What answers at ${new URL(url).host} is no ClickHouse (status ${answer.status})`,
      'Check CLICKHOUSE_URL.',
    );
  }
  if (Number(version) < LEAST_VERSION) {
    throw new DatabaseError(
      `${where} is version ${text}; Signalbox needs ${LEAST_VERSION} or later`,
      'Update it, or set CLICKHOUSE_URL to another.',
    );
  }
}
