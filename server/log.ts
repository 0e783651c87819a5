/** The server's log: JSON lines on standard error, and to OpenTelemetry; without secrets. */
import { type Logger, multistream, pino } from 'pino';
import { logBridge } from './telemetry/log-bridge.ts';

const REDACTED = ['req.headers.authorization', 'req.headers.cookie', '*.token', '*.password'];

export function createLog(level: string, role: string): Logger {
  return pino(
    { level, base: { role, pid: process.pid }, redact: REDACTED },
    multistream([
      { level: 'trace', stream: pino.destination({ dest: 2, sync: false }) },
      { level: 'trace', stream: logBridge() },
    ]),
  );
}
