/**
 * The product's own telemetry: traces of API calls, of what they ask of PostgreSQL and of calls to elsewhere,
 * what the process costs, and its log; sent to the product's own OTLP receiver unless the configuration names
 * another. Exporting happens in the background, in batches with bounded queues, and is not traced itself.
 */
import { createRequire } from 'node:module';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { PgInstrumentation } from '@opentelemetry/instrumentation-pg';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import { BatchLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { AggregationType, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { NodeSDK } from '@opentelemetry/sdk-node';
import type { Config } from '../config.ts';
import { observeProcess } from './process-metrics.ts';

export interface TelemetryOptions {
  readonly settings: Config['telemetry'];
  readonly role: 'server' | 'agent';
  /** The product's own receiver. */
  readonly own: { readonly url: string; readonly token: string };
}

export interface RunningTelemetry {
  /** Sends what is left, within two seconds. */
  stop(): Promise<void>;
}

const EXPORT_TIMEOUT_MS = 2_000;
const METRICS_EVERY_MS = 15_000;

export function startTelemetry(options: TelemetryOptions): RunningTelemetry {
  const { settings, role } = options;
  if (settings.disabled) return { stop: async () => undefined };
  const to = destination(options);
  const sdk = new NodeSDK({
    serviceName: `signalbox-${role}`,
    traceExporter: new OTLPTraceExporter(to('traces')),
    metricReaders: [
      new PeriodicExportingMetricReader({
        exporter: new OTLPMetricExporter(to('metrics')),
        exportIntervalMillis: METRICS_EVERY_MS,
        exportTimeoutMillis: EXPORT_TIMEOUT_MS,
      }),
    ],
    // The server's own pools are sampled each second; twice the same pool would be two pools.
    views: [{ instrumentName: 'db.client.*', aggregation: { type: AggregationType.DROP } }],
    logRecordProcessors: [
      new BatchLogRecordProcessor({ exporter: new OTLPLogExporter(to('logs')) }),
    ],
    instrumentations: [
      new PgInstrumentation({ requireParentSpan: true }),
      new UndiciInstrumentation({
        requireParentforSpans: true,
        // What an agent and its server say to each other is no part of the user's story.
        ignoreRequestHook: ({ path }) => path.startsWith('/api/v1/agent/'),
      }),
    ],
  });
  sdk.start();
  // The instrumentation sees only what is required. PostgreSQL's client was imported before: required once
  // more, the very same classes are instrumented in place.
  createRequire(import.meta.url)('pg');
  observeProcess();
  return {
    async stop() {
      await sdk.shutdown().catch(() => undefined);
    },
  };
}

/** Where each signal goes. The product's token goes to the product's own receiver and nowhere else. */
function destination({ settings, own }: TelemetryOptions) {
  const endpoint = settings.endpoint ?? own.url;
  const headers: Record<string, string> = { ...settings.headers };
  if (settings.endpoint === null) headers['authorization'] = `Bearer ${own.token}`;
  return (signal: 'traces' | 'metrics' | 'logs') => ({
    ...{ url: `${endpoint}/v1/${signal}`, headers, timeoutMillis: EXPORT_TIMEOUT_MS },
  });
}
