/** What the process takes: places by argument, passwords by environment, so that no `ps` shows them. */
import { parseArgs } from 'node:util';

/** Environment variables that carry the passwords. */
export const PASSWORD_VARIABLES = {
  reader: 'SIGNALBOX_CLICKHOUSE_READER_PASSWORD',
  writer: 'SIGNALBOX_CLICKHOUSE_WRITER_PASSWORD',
} as const;

/** Threads that run engine calls; each running query holds one. */
export const ENGINE_THREADS = 72;

/** Queries that may run at the same time; the threads left over serve cancellation and parsing. */
export const MAX_RUNNING_QUERIES = 60;

/** What the server process is started with. */
export interface ServerOptions {
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  readonly readerPassword: string;
  readonly writerPassword: string;
}

/**
 * Reads arguments and environment.
 * @throws Error naming every fault at once
 */
export function readOptions(argv: readonly string[], env: NodeJS.ProcessEnv): ServerOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      'data-dir': { type: 'string' },
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: '0' },
    },
  });
  const faults: string[] = [];
  const dataDir = values['data-dir'] ?? '';
  if (dataDir === '') faults.push('--data-dir DIR is missing');
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    faults.push(`--port ${values.port} is not a port: give a number from 0 to 65535`);
  }
  const passwords = { reader: '', writer: '' };
  for (const user of ['reader', 'writer'] as const) {
    passwords[user] = env[PASSWORD_VARIABLES[user]] ?? '';
    if (passwords[user] === '') faults.push(`${PASSWORD_VARIABLES[user]} is missing or empty`);
  }
  if (faults.length > 0) throw new Error(faults.join('; '));
  return {
    dataDir,
    host: values.host,
    port,
    readerPassword: passwords.reader,
    writerPassword: passwords.writer,
  };
}
