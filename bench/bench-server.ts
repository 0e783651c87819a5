/** The real server in a process of its own. */
import { readConfig } from '../server/config.ts';
import { startServer } from '../server/main.ts';

const [, , databaseUrl, dataDir, clickhouseUrl, reader = ''] = process.argv;
const server = await startServer(
  readConfig(
    {},
    {
      DATABASE_URL: databaseUrl,
      CLICKHOUSE_URL: clickhouseUrl,
      ...(reader === '' ? {} : { SIGNALBOX_CLICKHOUSE_READER: reader }),
      SIGNALBOX_PORT: '0',
      SIGNALBOX_OTLP_PORT: '0',
      SIGNALBOX_DATA_DIR: dataDir,
      SIGNALBOX_LOG_LEVEL: process.env['BENCH_LOG_LEVEL'] ?? 'error',
    },
  ),
);
const { credentials } = server.parts;
const { token } = await credentials.createToken(`bench-${process.pid}`, 'admin', 'bench');
const agent = await credentials.createToken(`bench-agent-${process.pid}`, 'agent', 'bench');
process.send?.({ url: server.url, token, agentToken: agent.token });
process.on('disconnect', () => void server.stop().finally(() => process.exit()));
process.on('message', () => {
  process.send?.({ memory: process.memoryUsage().rss, cpu: process.cpuUsage() });
});
