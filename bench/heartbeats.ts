/**
 * What heartbeats of thousands of agents cost. Each agent is a session of its own, registered over HTTP, and beats at
 * the interval that the server told it; what they run is nothing.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import type { RegisterReply } from '../domain/agent-protocol.ts';
import type { Child, Postgres } from './processes.ts';
import { count, quantiles, quantileValues, type Report } from './report.ts';
import type { Server } from './stand.ts';

interface HeartbeatOptions {
  readonly agents: number;
  readonly server: Child<Server>;
  readonly postgres: Postgres;
}

/** Agents that are registered at a time. */
const AT_ONCE = 16;
/** Agents have a connection each; a beat is answered with others of its moment, so fewer would wait for each other. */
const CONNECTIONS = 512;
const MEASURED_MS = 30_000;
const IDLE_MS = 10_000;

export async function benchHeartbeats(
  report: Report,
  { agents, server, postgres }: HeartbeatOptions,
): Promise<void> {
  const { url, agentToken } = server.first;
  const pool = new Pool(url, { connections: CONNECTIONS, pipelining: 1 });
  const post = async <T>(path: string, body: object): Promise<T> => {
    const answer = await pool.request({
      ...{ method: 'POST', path: `/api/v1/agent${path}` },
      headers: { authorization: `Bearer ${agentToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (answer.statusCode !== 200) throw new Error(`${path}: ${await answer.body.text()}`);
    return (await answer.body.json()) as T;
  };
  const over = new AbortController();
  try {
    const spent = async () => {
      const { cpuSeconds } = await server.usage();
      return { server: cpuSeconds, postgres: await postgres.cpuSeconds() };
    };
    const idle = await shareOf(spent, IDLE_MS);
    const beats = beating(post, over.signal);
    await inParallel(agents, async (index) => {
      report.progress('agents', index, agents);
      beats.add(
        await post<RegisterReply>('/register', {
          ...{ name: `bench-${index}`, queues: [`bench-${index % 100}`], concurrency: 10 },
          ...{ version: '1', definitions: [], fileErrors: [] },
        }),
      );
    });
    await delay(IDLE_MS);
    beats.tookMs.length = 0;
    const busy = await shareOf(spent, MEASURED_MS);
    const { tookMs, failed, everyMs } = beats.now();
    const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
    const shares = { server: busy.server - idle.server, postgres: busy.postgres - idle.postgres };
    report.figure(
      `heartbeats of ${count(agents)} agents, each every ${everyMs / 1_000} s`,
      `${percent(shares.server)} of a core in the server, ${percent(shares.postgres)} in PostgreSQL ` +
        `(idle ${percent(idle.server)} and ${percent(idle.postgres)}); ` +
        `${count(tookMs.length / (MEASURED_MS / 1_000))} beats/s, ${quantiles(tookMs)}, ${failed} failed`,
      {
        ...{ agents, everyMs, failed, beats: tookMs.length },
        ...{ serverCores: shares.server, postgresCores: shares.postgres },
        ...quantileValues(tookMs),
      },
    );
  } finally {
    over.abort();
    await pool.destroy();
  }
}

/** Cores that are used for so long. */
async function shareOf(
  spent: () => Promise<{ server: number; postgres: number }>,
  forMs: number,
): Promise<{ server: number; postgres: number }> {
  const before = await spent();
  const startedAt = performance.now();
  await delay(forMs);
  const after = await spent();
  const seconds = (performance.now() - startedAt) / 1_000;
  return {
    server: (after.server - before.server) / seconds,
    postgres: (after.postgres - before.postgres) / seconds,
  };
}

function beating(post: (path: string, body: object) => Promise<unknown>, signal: AbortSignal) {
  const tookMs: number[] = [];
  let failed = 0;
  let everyMs = 0;
  const beat = async (sessionId: string) => {
    const startedAt = performance.now();
    try {
      const body = { running: 0, pools: [], tokens: [] };
      const answer = (await post(`/${sessionId}/heartbeat`, body)) as { sessionValid: boolean };
      if (!answer.sessionValid) failed += 1;
      tookMs.push(performance.now() - startedAt);
    } catch {
      if (!signal.aborted) failed += 1;
    }
  };
  return {
    tookMs,
    now: () => ({ tookMs: [...tookMs], failed, everyMs }),
    add({ sessionId, heartbeatEveryMs }: RegisterReply): void {
      everyMs = heartbeatEveryMs;
      // Spread over the interval, as agents that began at different moments are.
      const first = setTimeout(() => {
        const timer = setInterval(() => void beat(sessionId), heartbeatEveryMs);
        signal.addEventListener('abort', () => clearInterval(timer), { once: true });
        void beat(sessionId);
      }, Math.random() * heartbeatEveryMs);
      signal.addEventListener('abort', () => clearTimeout(first), { once: true });
    },
  };
}

async function inParallel(total: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < total) {
      next += 1;
      await work(next - 1);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
