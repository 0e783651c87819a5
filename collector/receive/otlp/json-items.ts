/** Traces and logs from OTLP's JSON form. */

import { JsonNode, parseJson } from './json-read.ts';
import type { LogSink, Resource, Scope, Span, TraceSink } from './model.ts';
import { valueText } from './value-text.ts';

const SPAN_KINDS = ['UNSPECIFIED', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'].map(
  (name) => `SPAN_KIND_${name}`,
);
const STATUS_CODES = ['UNSET', 'OK', 'ERROR'].map((name) => `STATUS_CODE_${name}`);
const SEVERITIES = [
  'SEVERITY_NUMBER_UNSPECIFIED',
  ...['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'].flatMap((level) =>
    ['', '2', '3', '4'].map((step) => `SEVERITY_NUMBER_${level}${step}`),
  ),
];

/** Walks a request's resources and scopes down to each item. */
export function readJsonRequest(
  text: string,
  names: { resources: string; scopes: string; items: string },
  item: (resource: Resource, scope: Scope, node: JsonNode) => void,
): void {
  const request = new JsonNode(parseJson(text), '');
  for (const group of request.nodes(names.resources)) {
    const resource = {
      attributes: group.node('resource')?.attributes() ?? [],
      schemaUrl: group.string('schemaUrl'),
    };
    for (const scopeGroup of group.nodes(names.scopes)) {
      const scope = readScope(scopeGroup);
      for (const node of scopeGroup.nodes(names.items)) item(resource, scope, node);
    }
  }
}

function readScope(group: JsonNode): Scope {
  const scope = group.node('scope');
  return {
    name: scope?.string('name') ?? '',
    version: scope?.string('version') ?? '',
    attributes: scope?.attributes() ?? [],
    droppedAttributes: scope?.number('droppedAttributesCount') ?? 0,
    schemaUrl: group.string('schemaUrl'),
  };
}

/** @throws SyntaxError, MalformedJsonError */
export function readTracesJson(text: string, sink: TraceSink): void {
  const names = { resources: 'resourceSpans', scopes: 'scopeSpans', items: 'spans' };
  readJsonRequest(text, names, (resource, scope, node) => {
    sink.span(resource, scope, readSpan(node));
  });
}

function readSpan(node: JsonNode): Span {
  const status = node.node('status');
  return {
    traceId: node.id('traceId'),
    spanId: node.id('spanId'),
    parentSpanId: node.id('parentSpanId'),
    traceState: node.string('traceState'),
    name: node.string('name'),
    kind: node.enumeration('kind', SPAN_KINDS),
    startNs: node.uint64('startTimeUnixNano'),
    endNs: node.uint64('endTimeUnixNano'),
    attributes: node.attributes(),
    events: node.nodes('events').map((event) => ({
      timeNs: event.uint64('timeUnixNano'),
      name: event.string('name'),
      attributes: event.attributes(),
    })),
    links: node.nodes('links').map((link) => ({
      traceId: link.id('traceId'),
      spanId: link.id('spanId'),
      traceState: link.string('traceState'),
      attributes: link.attributes(),
    })),
    statusCode: status?.enumeration('code', STATUS_CODES) ?? 0,
    statusMessage: status?.string('message') ?? '',
  };
}

/** @throws SyntaxError, MalformedJsonError */
export function readLogsJson(text: string, sink: LogSink): void {
  const names = { resources: 'resourceLogs', scopes: 'scopeLogs', items: 'logRecords' };
  readJsonRequest(text, names, (resource, scope, node) => {
    sink.log(resource, scope, {
      timeNs: node.uint64('timeUnixNano'),
      observedNs: node.uint64('observedTimeUnixNano'),
      traceId: node.id('traceId'),
      spanId: node.id('spanId'),
      flags: node.number('flags'),
      severityText: node.string('severityText'),
      severityNumber: node.enumeration('severityNumber', SEVERITIES),
      body: valueText(node.value('body')),
      attributes: node.attributes(),
      eventName: node.string('eventName'),
    });
  });
}
