/** The real server in a process of its own. */
import { readConfig } from '../server/config.ts';
import { startServer } from '../server/main.ts';

const server = await startServer(
  readConfig(
    {},
    {
      DATABASE_URL: process.argv[2],
      CLICKHOUSE_URL: process.argv[4],
      SIGNALBOX_PORT: '0',
      SIGNALBOX_OTLP_PORT: '0',
      SIGNALBOX_DATA_DIR: process.argv[3],
      SIGNALBOX_LOG_LEVEL: 'error',
    },
  ),
);
const { token } = await server.parts.credentials.createToken('bench', 'admin', 'bench');
const agent = await server.parts.credentials.createToken('bench-agent', 'agent', 'bench');
process.send?.({ url: server.url, token, agentToken: agent.token });
process.on('disconnect', () => void server.stop().finally(() => process.exit()));
process.on('message', () => {
  process.send?.({ memory: process.memoryUsage().rss, cpu: process.cpuUsage() });
});
