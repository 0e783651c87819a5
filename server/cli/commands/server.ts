import { Command } from 'commander';
import { checkClickHouse } from '../../clickhouse-check.ts';
import { readConfig } from '../../config.ts';
import { aborted, endSignal, tellSupervisor } from '../end-signal.ts';

interface Options {
  readonly host?: string;
  readonly port?: string;
  readonly otlpPort?: string;
  readonly json?: boolean;
}

const END_LIMIT_MS = 9_500;

/** `signalbox server` */
export function serverCommand(): Command {
  return new Command('server')
    .description('A server alone; needs DATABASE_URL and CLICKHOUSE_URL')
    .option('--host <host>', 'address to listen on (127.0.0.1)')
    .option('--port <port>', 'port of API and console (4400); 0 picks a free one')
    .option('--otlp-port <port>', 'port of OTLP over HTTP (4318)')
    .option('--json', 'print one line of JSON when ready')
    .action(runServer);
}

async function runServer(options: Options): Promise<void> {
  const config = readConfig(process.env, {
    SIGNALBOX_HOST: options.host,
    SIGNALBOX_PORT: options.port,
    SIGNALBOX_OTLP_PORT: options.otlpPort,
  });
  const end = endSignal();
  try {
    // One that is started again must work without: what it does not need ClickHouse for goes on.
    if (config.clickhouse !== null && !process.connected) await checkClickHouse(config.clickhouse);
    const { startServer } = await import('../../main.ts');
    const { startTelemetry } = await import('../../telemetry/sdk.ts');
    const server = await startServer(config);
    const telemetry = startTelemetry({
      ...{ settings: config.telemetry, role: 'server' },
      own: { url: server.otlpUrl, token: server.parts.credentials.ownToken('self', 'ingest') },
    });
    tellSupervisor({ type: 'ready', url: server.url, otlpUrl: server.otlpUrl });
    const { url, otlpUrl } = server;
    console.log(options.json ? JSON.stringify({ url, otlpUrl }) : `listening on ${url}`);
    await aborted(end);
    setTimeout(() => process.exit(1), END_LIMIT_MS).unref();
    await telemetry.stop();
    await server.stop();
  } catch (error) {
    tellSupervisor({
      type: 'failed',
      message: error instanceof Error ? error.message : `${error}`,
    });
    throw error;
  } finally {
    if (process.connected) process.disconnect();
  }
  setImmediate(() => process.exit(0));
}
