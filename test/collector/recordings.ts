/** Requests of real senders, as they came over the wire. */
import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import type { OtlpSignal } from '../../collector/service.ts';

const OTLP = new URL('../fixtures/otlp/', import.meta.url);

export interface RecordedRequest {
  readonly name: string;
  readonly signal: OtlpSignal;
  readonly contentType: string;
  readonly contentEncoding: string | null;
  /** As it was sent, still compressed. */
  readonly body: Buffer;
  /** Decompressed. */
  readonly plain: Buffer;
}

/** The Collector's own requests: what its ClickHouse exporter made of them is in `collector-rows`. */
export function collectorRequests(): RecordedRequest[] {
  return httpFiles('collector');
}

/** All recorded OTLP requests. */
export function allRequests(): RecordedRequest[] {
  const airflow = readdirSync(new URL('airflow/', OTLP)).map((name): RecordedRequest => {
    const body = readFileSync(new URL(`airflow/${name}`, OTLP));
    const signal = name.includes('traces') ? 'traces' : 'metrics';
    const contentType = 'application/x-protobuf';
    return { name, signal, contentType, contentEncoding: null, body, plain: body };
  });
  return [...httpFiles('collector'), ...httpFiles('node'), ...airflow];
}

/** Rows that the real exporter wrote, by table. */
export function exporterRows(): Map<string, Record<string, unknown>[]> {
  const folder = new URL('collector-rows/', OTLP);
  return new Map(
    readdirSync(folder).map((name) => [
      name.replace('.jsonl', ''),
      readLines(new URL(name, folder)),
    ]),
  );
}

/** Recorded OpenLineage events, in the order in which they came. */
export function openLineageEvents(
  name: 'airflow' | 'dbt-run' | 'dbt-test' | 'dbt-run-structured',
): Record<string, unknown>[] {
  return readLines(new URL(`../fixtures/openlineage/${name}.jsonl`, import.meta.url));
}

function readLines(file: URL): Record<string, unknown>[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

function httpFiles(folder: string): RecordedRequest[] {
  const directory = new URL(`${folder}/`, OTLP);
  return readdirSync(directory).map((name) =>
    parseHttp(`${folder}/${name}`, readFileSync(new URL(name, directory))),
  );
}

function parseHttp(name: string, raw: Buffer): RecordedRequest {
  const headEnd = raw.indexOf('\r\n\r\n');
  const [first = '', ...lines] = raw.subarray(0, headEnd).toString('latin1').split('\r\n');
  const headers = new Map(
    lines.map((line) => {
      const [key = '', value = ''] = line.split(/:\s*/, 2);
      return [key.toLowerCase(), value] as const;
    }),
  );
  const body = raw.subarray(headEnd + 4);
  const contentEncoding = headers.get('content-encoding') ?? null;
  return {
    name,
    signal: /\/v1\/(\w+)/.exec(first)?.[1] as OtlpSignal,
    contentType: headers.get('content-type') ?? '',
    contentEncoding,
    body,
    plain: unpack(body, contentEncoding),
  };
}

function unpack(body: Buffer, encoding: string | null): Buffer {
  if (encoding === 'gzip') return gunzipSync(body);
  return encoding === 'zstd' ? zstdDecompressSync(body) : body;
}
