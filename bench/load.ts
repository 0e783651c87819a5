/** Work for the orchestrator at a steady rate, and viewers of the console that look on. */
import { setTimeout as delay } from 'node:timers/promises';
import { request } from 'undici';
import { CHAIN } from './bench-workflows.ts';
import { call, type Server } from './stand.ts';

const TICK_MS = 100;

export interface Load {
  /** Ends it. `told` is the number of changes that all viewers were told. */
  stop(): Promise<{ told: number; tasksPerSecond: number }>;
}

/** Starts viewers of live changes, and chains of tasks at that rate. */
export async function startLoad(
  server: Server,
  { viewers, rate }: { viewers: number; rate: number },
): Promise<Load> {
  const over = new AbortController();
  let told = 0;
  const looking = Array.from({ length: viewers }, async () => {
    const { body } = await request(`${server.url}/api/v1/events`, {
      headers: { authorization: `Bearer ${server.token}` },
      signal: over.signal,
      bodyTimeout: 0,
    });
    for await (const chunk of body) told += String(chunk).split('event: change').length - 1;
  });
  const offered = offerRuns(server, rate, over.signal);
  return {
    async stop() {
      over.abort();
      await Promise.allSettled(looking);
      return { told, tasksPerSecond: await offered };
    },
  };
}

/**
 * Triggers chains at a steady rate until told to end; what could not be sent in time is sent later.
 * @returns tasks a second that were offered
 */
export async function offerRuns(
  server: Server,
  tasksPerSecond: number,
  signal: AbortSignal,
  onSent: (tasks: number) => void = () => undefined,
): Promise<number> {
  const startedAt = performance.now();
  let sent = 0;
  while (!signal.aborted) {
    const wanted = ((performance.now() - startedAt) / 1_000) * (tasksPerSecond / CHAIN);
    const runs = Math.min(1_000, Math.floor(wanted) - sent);
    if (runs > 0) {
      await call(server, '/api/v1/workflows/bench-chain/runs/batch', {
        runs: Array.from({ length: runs }, () => ({})),
      });
      sent += runs;
      onSent(sent * CHAIN);
    }
    await delay(TICK_MS);
  }
  return (sent * CHAIN * 1_000) / (performance.now() - startedAt);
}
