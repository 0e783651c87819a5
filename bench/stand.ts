/** Server and agents of a benchmark, and what is asked of them. */

import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { WATCHED_NODE_OPTIONS } from '../server/supervise/agent-watch.ts';
import { type Child, type ClickHouse, startChild } from './processes.ts';

export interface Server {
  readonly url: string;
  readonly token: string;
  readonly agentToken: string;
}

const LOOK_EVERY_MS = 2;

export function startServerChild(
  postgres: { url: string; directory: string },
  clickhouse: Pick<ClickHouse, 'url' | 'reader'>,
): Promise<Child<Server>> {
  return startChild<Server>(new URL('./bench-server.ts', import.meta.url), [
    ...[postgres.url, postgres.directory, clickhouse.url, clickhouse.reader],
  ]);
}

/** An agent of 1,000 slots; it serves the queue `default` unless told. */
export function startAgentChild(
  { url, agentToken }: Server,
  queues: readonly string[] = ['default'],
): Promise<Child<unknown>> {
  return startChild(
    new URL('./bench-agent.ts', import.meta.url),
    [url, agentToken, '1000', queues.join(',')],
    // As `signalbox agent` runs.
    { nodeOptions: WATCHED_NODE_OPTIONS },
  );
}

/** Waits until a workflow is known. */
export async function registered(pool: pg.Pool, workflow: string): Promise<void> {
  const find = () => pool.query('SELECT FROM signalbox.workflow WHERE name = $1', [workflow]);
  while ((await find()).rows.length === 0) await delay(50);
}

/** Waits until so many agents live. */
export async function agentsLive(pool: pg.Pool, count: number, queue = 'default'): Promise<void> {
  const live = async () => {
    const { rows } = await pool.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM signalbox.agent_session
       WHERE state = 'live' AND $1 = ANY(queues)`,
      [queue],
    );
    return rows[0]?.n ?? 0;
  };
  while ((await live()) < count) await delay(50);
}

/** Triggers runs in one call and waits until the last has ended. @returns milliseconds */
export async function runAll(
  server: Server,
  pool: pg.Pool,
  workflow: string,
  runs: number,
  lookEveryMs: number = LOOK_EVERY_MS,
): Promise<number> {
  const startedAt = performance.now();
  await call(server, `/api/v1/workflows/${workflow}/runs/batch`, {
    runs: Array.from({ length: runs }, () => ({})),
  });
  while (true) {
    const { rows } = await pool.query('SELECT FROM signalbox.run_live LIMIT 1');
    if (rows.length === 0) return performance.now() - startedAt;
    await delay(lookEveryMs);
  }
}

/** Calls the server: GET, or POST where there is a body. @returns the text of the answer */
export async function call(server: Server, path: string, body?: object): Promise<string> {
  const response = await fetch(server.url + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${server.token}`, 'content-type': 'application/json' },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path}: ${text}`);
  return text;
}
