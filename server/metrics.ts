/** Metrics of the server for Prometheus: prefix `signalbox_`, base units. */
import type { FastifyInstance } from 'fastify';
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { AGENT_STATES } from '../domain/agent.ts';
import { environmentOf, PRODUCTION, plainName } from '../domain/environment.ts';
import type { Parts } from './parts.ts';

const DURATION_BUCKETS_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];
/** Gauges whose names say that they were counters. */
const MISNAMED = /_(handles|requests|resources)_total$/;

export function createMetrics(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'signalbox_' });
  for (const { name } of registry.getMetricsAsArray()) {
    if (MISNAMED.test(name)) registry.removeSingleMetric(name);
  }
  return registry;
}

/** Counts and times the calls by route. */
export function addRequestMetrics(app: FastifyInstance, registry: Registry): void {
  const duration = new Histogram({
    name: 'signalbox_http_request_duration_seconds',
    help: 'Time from a call to its answer; long polls included.',
    labelNames: ['method', 'route', 'status'],
    buckets: DURATION_BUCKETS_SECONDS,
    registers: [registry],
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    const labels = { method: request.method, route, status: String(reply.statusCode) };
    duration.observe(labels, reply.elapsedTime / 1_000);
  });
}

/** Adds what the parts know, read at each scrape. */
export function addStateMetrics(
  parts: Pick<Parts, 'metrics' | 'orchestrator' | 'collector' | 'live'>,
): void {
  const registers = [parts.metrics];
  const queued = new Gauge({
    name: 'signalbox_queue_tasks',
    help: 'Tasks of a queue by state.',
    labelNames: ['queue', 'state', 'environment'],
    registers,
    async collect() {
      // Those of environments that are gone.
      queued.reset();
      for (const { name, ready, running } of await parts.orchestrator.queues.list()) {
        const of = { queue: plainName(name), environment: environmentOf(name) ?? PRODUCTION };
        queued.set({ ...of, state: 'ready' }, ready);
        queued.set({ ...of, state: 'running' }, running);
      }
    },
  });
  const agents = new Gauge({
    name: 'signalbox_agents',
    help: 'Agents by the age of their last heartbeat.',
    labelNames: ['state'],
    registers,
    async collect() {
      const all = await parts.orchestrator.agents.list();
      for (const state of AGENT_STATES) {
        agents.set({ state }, all.filter((agent) => agent.state === state).length);
      }
    },
  });
  const lag = new Gauge({
    name: 'signalbox_telemetry_lag_seconds',
    help: 'Age of the oldest run event that is not in ClickHouse yet.',
    registers,
    async collect() {
      const { lagMs } = await parts.collector.health();
      lag.set(lagMs === null ? Number.NaN : lagMs / 1_000);
    },
  });
  const streams = new Gauge({
    name: 'signalbox_event_streams',
    help: 'Open streams of server-sent events.',
    registers,
    collect() {
      streams.set(parts.live.size());
    },
  });
}
