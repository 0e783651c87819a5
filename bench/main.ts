/** Runs benchmarks by name: `npm run bench -- throughput`. Without a name it lists them. */
import { benchLatency } from './latency.ts';
import { benchOtlp } from './otlp.ts';
import { benchScale } from './scale.ts';
import { benchThroughput } from './throughput.ts';

const BENCHES: Readonly<Record<string, { what: string; run(): Promise<void> }>> = {
  throughput: { what: 'tasks and runs a second, beside a plain queue', run: benchThroughput },
  scale: { what: 'what millions of stored tasks and thousands of workflows cost', run: benchScale },
  latency: { what: 'how soon work begins at low load, beside plain queues', run: benchLatency },
  otlp: { what: 'OTLP spans a second, decoded and stored', run: benchOtlp },
};

const names = process.argv.slice(2);
const unknown = names.filter((name) => !Object.hasOwn(BENCHES, name));
if (names.length === 0 || unknown.length > 0) {
  for (const name of unknown) console.error(`there is no benchmark ${name}`);
  for (const [name, { what }] of Object.entries(BENCHES)) console.log(`${name.padEnd(12)}${what}`);
  process.exitCode = unknown.length > 0 ? 2 : 0;
}
if (unknown.length === 0) for (const name of names) await BENCHES[name]?.run();
