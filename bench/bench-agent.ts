/** A real agent in a process of its own. */
import { httpTransport } from '../orchestrator/agent/http-transport.ts';
import { startAgent } from '../orchestrator/agent/start.ts';
import { definitionsOf } from '../orchestrator/define/registry.ts';
import { workflows } from './bench-workflows.ts';

const [, , url = '', token = '', concurrency = '1000', queues = 'default'] = process.argv;
const agent = startAgent({
  transport: httpTransport({ url, token }),
  definitions: definitionsOf(workflows),
  name: `bench-${queues}`,
  queues: queues.split(','),
  concurrency: Number(concurrency),
  // As `signalbox agent` runs: tasks are told apart, what they print is logged.
  isolation: { mode: 'auto', maxWorkers: 1 },
  log: (line) => console.error(line),
});
process.send?.({ started: true });
process.on('disconnect', () => void agent.stop().finally(() => process.exit()));
process.on('message', () => {
  process.send?.({ memory: process.memoryUsage().rss, cpu: process.cpuUsage() });
});
