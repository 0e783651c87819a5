/** The server's log: JSON lines on standard error, without secrets. */
import { type DestinationStream, type Logger, pino } from 'pino';

const REDACTED = ['req.headers.authorization', 'req.headers.cookie', '*.token', '*.password'];

export function createLog(level: string, role: string, destination?: DestinationStream): Logger {
  return pino(
    { level, base: { role, pid: process.pid }, redact: REDACTED },
    destination ?? pino.destination({ dest: 2, sync: false }),
  );
}
