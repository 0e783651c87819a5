/**
 * The real server in a process of its own. ClickHouse is played by something that takes everything and knows
 * nothing, so that the figures are the orchestrator's, the export of events included.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readConfig } from '../server/config.ts';
import { startServer } from '../server/main.ts';

const nothing = createServer((request, response) => {
  request.resume().once('end', () => response.end());
}).listen(0, '127.0.0.1');
await once(nothing, 'listening');

const server = await startServer(
  readConfig(
    {},
    {
      DATABASE_URL: process.argv[2],
      CLICKHOUSE_URL: `http://127.0.0.1:${(nothing.address() as AddressInfo).port}`,
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
