import { Command } from 'commander';
import { readConfig } from '../../config.ts';
import type { UpReady } from '../../supervise/up.ts';
import { VERSION } from '../../version.ts';
import { colors } from '../colors.ts';
import { aborted, endSignal } from '../end-signal.ts';
import { createFileFaultLines } from '../file-fault-lines.ts';

interface Options {
  readonly dataDir?: string;
  readonly host?: string;
  readonly port?: string;
  readonly otlpPort?: string;
  readonly clickhousePort?: string;
  readonly workflows?: string[];
  readonly examples: boolean;
  readonly agent: boolean;
  readonly json?: boolean;
}

/** The most that ending everything may take before the process goes, whatever hangs. */
const END_LIMIT_MS = 9_500;

/** `signalbox up` */
export function upCommand(): Command {
  return new Command('up')
    .description('Everything on one machine: databases, server, console, an agent')
    .option('--data-dir <directory>', 'where everything is kept (.signalbox)')
    .option('--host <host>', 'address to listen on (127.0.0.1)')
    .option('--port <port>', 'port of API and console (4400); 0 picks a free one')
    .option('--otlp-port <port>', 'port of OTLP over HTTP (4318)')
    .option('--clickhouse-port <port>', 'port of the embedded ClickHouse (8123)')
    .option('--workflows <directories...>', 'folders with workflow files (workflows)')
    .option('--no-examples', 'without the example workflows')
    .option('--no-agent', 'without an agent')
    .option('--json', 'print one line of JSON when ready')
    .action(up);
}

async function up(options: Options): Promise<void> {
  const config = readConfig(process.env, {
    SIGNALBOX_DATA_DIR: options.dataDir,
    SIGNALBOX_HOST: options.host,
    SIGNALBOX_PORT: options.port,
    SIGNALBOX_OTLP_PORT: options.otlpPort,
    SIGNALBOX_CLICKHOUSE_PORT: options.clickhousePort,
    SIGNALBOX_WORKFLOWS: options.workflows?.join(','),
  });
  const { startUp } = await import('../../supervise/up.ts');
  const startedAt = performance.now();
  const end = endSignal();
  const faultLines = createFileFaultLines();
  const starting = startUp({
    ...{ config, examples: options.examples, agent: options.agent },
    onFiles(faults) {
      if (!options.json) for (const line of faultLines(faults)) tell(line);
    },
    log: (message) => tell(`${colors.yellow('!')} ${message}`),
    progress: (what, tookMs) => {
      tell(`${colors.green('●')} ${what} ${colors.dim(`${(tookMs / 1_000).toFixed(1)} s`)}`);
    },
  });
  const running = await Promise.race([starting, aborted(end)]);
  if (running) {
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
    console.log(options.json ? JSON.stringify(running.ready) : greet(running.ready, seconds));
    await aborted(end);
  }
  if (!options.json) tell('ending …');
  setTimeout(() => process.exit(1), END_LIMIT_MS).unref();
  const ended = await starting.catch(() => undefined);
  await ended?.stop();
  // Handles of the parts' output may stay open for a moment; nothing is left to wait for.
  setImmediate(() => process.exit(0));
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

function greet(ready: UpReady, seconds: string): string {
  return [
    '',
    `${colors.bold(`Signalbox ${VERSION}`)} is up after ${seconds} s; Ctrl+C ends everything.`,
    '',
    `  Console     ${colors.cyan(ready.loginUrl)}`,
    `              ${colors.dim('the link works once, for 15 minutes; afterwards log in with the token')}`,
    `  Token       ${ready.token}`,
    `  API         ${ready.url}/api/v1`,
    `  OTLP/HTTP   ${ready.otlpUrl}`,
    `  ClickHouse  ${ready.clickhouseUrl} ${colors.dim(`(user ${ready.clickhouseUser}; --json shows the password)`)}`,
    '',
    `  Next, in another terminal: ${colors.bold('signalbox workflows list')}, then ${colors.bold('signalbox workflows trigger NAME')}`,
    '',
  ].join('\n');
}
