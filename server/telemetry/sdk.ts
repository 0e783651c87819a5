/**
 * The product's own telemetry: traces of API calls, of what they ask of PostgreSQL and of calls to elsewhere,
 * sent to the product's own OTLP receiver unless the configuration names another. Exporting happens in the
 * background, in batches with bounded queues, and is not traced itself.
 */
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { PgInstrumentation } from '@opentelemetry/instrumentation-pg';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import { NodeSDK } from '@opentelemetry/sdk-node';
import type { Config } from '../config.ts';

export interface TelemetryOptions {
  readonly settings: Config['telemetry'];
  readonly role: 'server' | 'agent';
  readonly instance: string;
  /** The product's own receiver. */
  readonly own: { readonly url: string; readonly token: string };
}

export interface RunningTelemetry {
  /** Sends what is left, within two seconds. */
  stop(): Promise<void>;
}

const EXPORT_TIMEOUT_MS = 2_000;

export function startTelemetry(options: TelemetryOptions): RunningTelemetry {
  const { settings, own } = options;
  if (settings.disabled) return { stop: async () => undefined };
  const endpoint = settings.endpoint ?? own.url;
  // The product's token goes to the product's own receiver and nowhere else.
  const headers =
    settings.endpoint === null
      ? { ...settings.headers, authorization: `Bearer ${own.token}` }
      : { ...settings.headers };
  const sdk = new NodeSDK({
    serviceName: `signalbox-${options.role}`,
    traceExporter: new OTLPTraceExporter({
      url: `${endpoint}/v1/traces`,
      headers,
      timeoutMillis: EXPORT_TIMEOUT_MS,
    }),
    metricReaders: [],
    logRecordProcessors: [],
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
  return {
    async stop() {
      await sdk.shutdown().catch(() => undefined);
    },
  };
}
