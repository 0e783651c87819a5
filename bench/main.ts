/** Runs benchmarks by name: `npm run bench -- throughput`. Without a name it lists them. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { benchApi } from './api.ts';
import { benchLatency } from './latency.ts';
import { benchOtlp } from './otlp.ts';
import { PEERS } from './peers.ts';
import { endAll } from './processes.ts';
import { createReport, type Report } from './report.ts';
import { benchScale } from './scale.ts';
import { benchSustained } from './sustained.ts';
import { benchThroughput } from './throughput.ts';

const INTERRUPTED = 130;

const program = new Command('npm run bench --')
  .description('Prints figures and judges nothing: compare only within one run.')
  .helpCommand(false)
  .showHelpAfterError('(--help lists what there is)');

/** Adds a benchmark; each takes `--json`. */
function bench<Options>(
  name: string,
  what: string,
  options: readonly Option[],
  run: (report: Report, options: Options) => Promise<void>,
): void {
  const command = program.command(name).description(what);
  for (const option of options) command.addOption(option);
  command.option('--json', 'print one JSON document in place of lines');
  command.action(async (given: Options & { json?: boolean }) => {
    const report = createReport(name, given.json === true);
    try {
      await run(report, given);
    } finally {
      await endAll();
      report.end();
    }
  });
}

/** A whole number; its default may come from the environment. */
function whole(flags: string, what: string, variable: string, fallback: number, least = 1): Option {
  const parse = (text: string) => {
    const value = Number(text.replaceAll('_', ''));
    if (Number.isSafeInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`must be a whole number from ${least} on`);
  };
  return new Option(flags, what).argParser(parse).default(fallback).env(variable);
}

const rounds = whole('--rounds <n>', 'rounds of each shape', 'BENCH_ROUNDS', 3);
const only = (what: string) =>
  new Option('--only <part>', what).env('BENCH_ONLY').default('', 'all');

bench(
  'throughput',
  'tasks and runs a second, beside a plain queue and other orchestrators',
  [
    ...[rounds, only('shapes whose name has it')],
    new Option('--peers <names>', `install and measure too: ${Object.keys(PEERS).join(',')}`)
      .argParser(peersOf)
      .default([], 'none'),
  ],
  benchThroughput,
);
bench(
  'sustained',
  'tasks at a steady rate for minutes, with every event copied to the real ClickHouse',
  [
    whole('--rate <n>', 'tasks offered a second', 'BENCH_RATE', 10_000),
    whole('--minutes <n>', 'how long', 'BENCH_MINUTES', 5),
  ],
  benchSustained,
);
bench(
  'latency',
  'how soon work begins at low load, beside plain queues',
  [whole('--runs <n>', 'runs', 'BENCH_RUNS', 100)],
  benchLatency,
);
bench(
  'scale',
  'what millions of stored tasks, thousands of workflows and of agents cost',
  [
    rounds,
    whole('--tasks <n>', 'ended tasks that are stored', 'BENCH_TASKS', 10_000_000, 1_000),
    whole('--workflows <n>', 'workflows', 'BENCH_WORKFLOWS', 15_000),
    whole('--agents <n>', 'agents that send heartbeats', 'BENCH_AGENTS', 10_000, 0),
  ],
  benchScale,
);
bench(
  'api',
  'how long each list, page and search takes, with a long history behind it',
  [
    whole('--runs <n>', 'runs of ten tasks that are stored', 'BENCH_STORED_RUNS', 1_000_000, 1_000),
    whole('--workflows <n>', 'workflows', 'BENCH_WORKFLOWS', 15_000, 100),
    whole('--assets <n>', 'assets with lineage', 'BENCH_ASSETS', 2_000, 50),
    whole('--calls <n>', 'calls of each route', 'BENCH_CALLS', 200, 20),
    whole('--viewers <n>', 'viewers that look on live', 'BENCH_VIEWERS', 50, 0),
    whole('--rate <n>', 'tasks a second that run meanwhile', 'BENCH_RATE', 2_000, 0),
    only('routes whose path has it'),
  ],
  benchApi,
);
bench('otlp', 'OTLP spans a second, decoded and stored', [], benchOtlp);

function peersOf(text: string): string[] {
  const names = text.split(',').filter((name) => name !== '');
  const unknown = names.filter((name) => !Object.hasOwn(PEERS, name));
  if (unknown.length === 0) return names;
  throw new InvalidArgumentError(`there is no ${unknown.join(', ')}`);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void endAll().finally(() => process.exit(INTERRUPTED)));
}
if (process.argv.length <= 2) program.outputHelp();
else await program.parseAsync();
