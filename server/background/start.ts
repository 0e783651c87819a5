/** Starts what a server does without being asked: background steps under leases, and the system agent. */
import type { FastifyBaseLogger } from 'fastify';
import { Counter, Histogram } from 'prom-client';
import type { HeartbeatSample } from '../../domain/events.ts';
import type { Composed } from '../compose.ts';
import type { Stops } from '../stops.ts';
import { createReconcileLoop } from './reconcile.ts';
import { startSystemAgent } from './system-agent.ts';

const HEARTBEAT_MS = 5_000;
const ROUND_BUCKETS_SECONDS = [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5];

export async function startBackground(
  { parts, executor, leases }: Composed,
  name: string,
  log: FastifyBaseLogger,
  stops: Stops,
): Promise<void> {
  const { orchestrator, collector, incidents, clock } = parts;
  const tell = (message: string) => log.info(message);
  const agent = startSystemAgent({
    ...{ orchestrator, collector, executor, clock, log: tell, serverName: name },
  });
  stops.push('system agent', () => agent.stop());
  const reconcilers = [...orchestrator.reconcilers, ...incidents.reconcilers];
  await leases.want(...reconcilers.map((one) => one.name));
  const loop = createReconcileLoop({
    ...{ reconcilers, leases, log: (message) => log.warn(message) },
    observe: roundMetrics(parts.metrics),
  });
  loop.start();
  stops.push('background steps', () => loop.stop());
  const steps = new Set(incidents.reconcilers.map((one) => one.name));
  const unfollow = incidents.onChange(() => loop.nudge((step) => steps.has(step)));
  stops.push('nudges', unfollow);
  stops.push('heartbeat', beat(name, parts));
}

function roundMetrics(registry: Composed['parts']['metrics']) {
  const registers = [registry];
  const duration = new Histogram({
    name: 'signalbox_reconciler_duration_seconds',
    help: 'Time of one round of a background step.',
    labelNames: ['step'],
    buckets: ROUND_BUCKETS_SECONDS,
    registers,
  });
  const failures = new Counter({
    name: 'signalbox_reconciler_failures_total',
    help: 'Rounds of a background step that failed.',
    labelNames: ['step'],
    registers,
  });
  return (step: string, seconds: number, ok: boolean) => {
    duration.observe({ step }, seconds);
    if (!ok) failures.inc({ step });
  };
}

/** Tells that this server lives. @returns what ends it */
function beat(name: string, { collector, clock }: Composed['parts']): () => void {
  const sample = (state: HeartbeatSample['state']): HeartbeatSample => ({
    ...{ at: clock.now(), kind: 'server', id: name, name, state },
    ...{ running: 0, intervalMs: HEARTBEAT_MS },
  });
  const send = (state: HeartbeatSample['state']) =>
    void collector.recordHeartbeats([sample(state)]).catch(() => undefined);
  send('online');
  const timer = setInterval(() => send('online'), HEARTBEAT_MS);
  return () => {
    clearInterval(timer);
    send('stopped');
  };
}
