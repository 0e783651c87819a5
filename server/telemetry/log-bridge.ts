/** Sends log lines to OpenTelemetry as well; until telemetry is started they go nowhere. */
import { Writable } from 'node:stream';
import { logs } from '@opentelemetry/api';

const SEVERITIES: Readonly<Record<number, { text: string; number: number }>> = {
  10: { text: 'TRACE', number: 1 },
  20: { text: 'DEBUG', number: 5 },
  30: { text: 'INFO', number: 9 },
  40: { text: 'WARN', number: 13 },
  50: { text: 'ERROR', number: 17 },
  60: { text: 'FATAL', number: 21 },
};

interface Line {
  readonly level: number;
  readonly time: number;
  readonly msg?: string;
  readonly err?: { readonly type?: string; readonly message?: string; readonly stack?: string };
}

/** A stream of pino's lines. */
export function logBridge(): Writable {
  return new Writable({
    decodeStrings: false,
    write(text: string, _encoding, done) {
      emit(text);
      done();
    },
  });
}

function emit(text: string): void {
  const { level, time, msg = '', err }: Line = JSON.parse(text);
  const severity = SEVERITIES[level];
  logs.getLogger('signalbox').emit({
    timestamp: time,
    ...(severity ? { severityText: severity.text, severityNumber: severity.number } : {}),
    body: msg,
    attributes: err
      ? {
          'exception.type': err.type ?? 'Error',
          'exception.message': err.message ?? '',
          'exception.stacktrace': err.stack ?? '',
        }
      : {},
  });
}
