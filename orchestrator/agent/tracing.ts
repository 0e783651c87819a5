/**
 * Spans of attempts. They go on from the run's trace and carry the names by which telemetry finds its run. Without
 * an SDK in the process nothing is made: at tens of thousands of tasks a second even empty spans cost.
 */
import { setTimeout as delay } from 'node:timers/promises';
import {
  context,
  INVALID_TRACEID,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { Assignment, Completion } from '../../domain/agent-protocol.ts';
import { PRODUCTION } from '../../domain/environment.ts';
import { TELEMETRY } from '../../domain/telemetry.ts';

const NAME = 'signalbox';
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/;

/** The tracer of the SDK that is set up in this process; null where there is none. */
export function activeTracer(): Tracer | null {
  const provider = trace.getTracerProvider();
  if (provider instanceof ProxyTracerProvider) return provider.getDelegateTracer(NAME) ?? null;
  return provider.getTracer(NAME);
}

/** As OpenTelemetry calls it. */
const DEPLOYMENT_ENVIRONMENT = 'deployment.environment.name';

/** Starts the span of an attempt, as a child of what started the run. */
export function startSpan(tracer: Tracer, assignment: Assignment, agent: string): Span {
  const { workflow, taskKey, runId, attempt, kind, environment = PRODUCTION } = assignment;
  return tracer.startSpan(
    kind === 'task' ? `${workflow} ${taskKey}` : workflow,
    {
      kind: SpanKind.CONSUMER,
      attributes: {
        [TELEMETRY.runId]: runId,
        [TELEMETRY.taskKey]: taskKey,
        [TELEMETRY.workflow]: workflow,
        [TELEMETRY.attempt]: attempt,
        [TELEMETRY.agent]: agent,
        [DEPLOYMENT_ENVIRONMENT]: environment,
      },
    },
    parentOf(assignment.traceparent),
  );
}

function parentOf(traceparent: string | null) {
  const [, traceId = INVALID_TRACEID, spanId = '', flags = '00'] =
    TRACEPARENT.exec(traceparent ?? '') ?? [];
  if (traceId === INVALID_TRACEID) return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
  });
}

/** How a span is named to another process. */
export function traceparentOf(span: Span): string {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

/** Runs code as part of what another process began. */
export function withinRemote<T>(traceparent: string | null, work: () => T): T {
  return context.with(parentOf(traceparent), work);
}

/** Sends the spans that were gathered, for a process that may be ended at any time. */
export async function flushSpans(limitMs: number): Promise<void> {
  const proxy = trace.getTracerProvider() as { getDelegate?(): { forceFlush?(): Promise<void> } };
  const flushed = proxy.getDelegate?.().forceFlush?.();
  if (flushed === undefined) return;
  const late = delay(limitMs, undefined, { ref: false });
  await Promise.race([flushed.catch(() => undefined), late]);
}

/** Runs code within the span, so that what it calls becomes part of the trace. */
export function within<T>(span: Span, work: () => T): T {
  return context.with(trace.setSpan(context.active(), span), work);
}

export function endSpan(span: Span, { state, error }: Completion): void {
  if (error !== undefined) {
    span.recordException(error);
    span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
  } else if (state !== 'succeeded') {
    span.setStatus({ code: SpanStatusCode.ERROR, message: state });
  }
  span.end();
}
