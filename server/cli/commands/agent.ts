import { url as inspectorUrl } from 'node:inspector';
import { hostname } from 'node:os';
import { pathToFileURL } from 'node:url';
import { Command, InvalidArgumentError, Option } from 'commander';
import { ISOLATIONS, type Isolation } from '../../../domain/agent-protocol.ts';
import { parseDuration } from '../../../domain/time.ts';
import type { RunAgentOptions } from '../../../orchestrator/agent/main.ts';
import { readConfig } from '../../config.ts';
import { type AgentWord, BEAT_EVERY_MS } from '../../supervise/agent-watch.ts';
import { modulePath } from '../../supervise/module-path.ts';
import { workflowFolders } from '../../workflow-folders.ts';
import { endSignal, tellSupervisor } from '../end-signal.ts';
import { ExitWith, UsageError } from '../exit.ts';

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly name: string;
  readonly queue: string[];
  readonly label: Readonly<Record<string, string>>;
  readonly environment?: string;
  readonly concurrency: number;
  readonly workflows?: string[];
  readonly watch?: boolean;
  readonly drain: number;
  readonly isolation: Isolation;
  readonly workers: number;
  readonly stallLimit: number;
  readonly json?: boolean;
}

const MAX_CONCURRENCY = 10_000;
const MAX_WORKERS = 1_000;
/** After its drain an agent ends within this time, whatever hangs in it. */
const LATEST_END_MS = 6_000;
/** How long an agent that gave up may take to say why. */
const HOPELESS_END_MS = 250;
const WORKER_TELEMETRY = pathToFileURL(
  modulePath('../../telemetry/of-worker.ts', import.meta.url),
).href;

/** `signalbox agent` */
export function agentCommand(): Command {
  return new Command('agent')
    .description('An agent alone: runs tasks for a server')
    .option('--url <url>', 'server (else SIGNALBOX_URL)')
    .option('--token <token>', 'token of role agent (else SIGNALBOX_TOKEN)')
    .option('--name <name>', 'name that the console shows', hostname())
    .option('--queue <queues...>', 'queues to take work from', ['default'])
    .option('--label <name=value...>', 'what it has that tasks may require', readLabel, {})
    .option('--environment <name>', 'environment of a branch to work for; production unless told')
    .option('--concurrency <tasks>', 'tasks at a time', readConcurrency, 16)
    .option('--workflows <directories...>', 'folders with workflow files (workflows)')
    .option('--watch', 'read files again when they change')
    .option('--drain <duration>', 'how long running tasks may go on at the end', readSpan, 5_000)
    .addOption(
      new Option('--isolation <where>', 'where tasks run that do not say')
        .choices(ISOLATIONS)
        .default('auto'),
    )
    .option('--workers <processes>', 'tasks at a time in processes of their own', readWorkers, 16)
    .option(
      '--stall-limit <duration>',
      'how long a task may block the others in its process, 0 for ever',
      readSpan,
      10_000,
    )
    .option('--json', 'log lines of JSON')
    .action(runAgentRole);
}

function readConcurrency(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= MAX_CONCURRENCY) return value;
  throw new InvalidArgumentError(`Give a whole number from 1 to ${MAX_CONCURRENCY}.`);
}

const LABEL = /^[\w./-]{1,63}$/;

function readLabel(text: string, before: Readonly<Record<string, string>>) {
  const [name = '', value = '', ...more] = text.split('=');
  if (LABEL.test(name) && LABEL.test(value) && more.length === 0) {
    return { ...before, [name]: value };
  }
  throw new InvalidArgumentError('Give NAME=VALUE, such as gpu=true.');
}

function readWorkers(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= MAX_WORKERS) return value;
  throw new InvalidArgumentError(`Give a whole number from 1 to ${MAX_WORKERS}.`);
}

function readSpan(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

async function runAgentRole(options: Options): Promise<void> {
  if (!process.connected) {
    const { keepAgent } = await import('../../supervise/keep-agent.ts');
    throw new ExitWith(await keepAgent(process.argv.slice(2)));
  }
  const config = readConfig(process.env, {
    SIGNALBOX_URL: options.url,
    SIGNALBOX_TOKEN: options.token,
    SIGNALBOX_WORKFLOWS: options.workflows?.join(','),
  });
  const { url, token } = config;
  if (url === null)
    throw new UsageError('no server is known: give one with --url or SIGNALBOX_URL');
  if (token === null) {
    throw new UsageError('no token is known: give one with --token or SIGNALBOX_TOKEN');
  }
  const workflows = workflowFolders(config.workflows);
  const signal = endSignal();
  signal.addEventListener('abort', () => {
    setTimeout(() => process.exit(1), options.drain + LATEST_END_MS).unref();
  });
  const { openStore } = await import('../../../orchestrator/results/open-store.ts');
  const { url: storeUrl, ...credentials } = config.resultStore;
  const resultStore = storeUrl === null ? null : openStore(storeUrl, credentials);
  const { runAgent } = await import('../../../orchestrator/agent/main.ts');
  const { startAgentTelemetry } = await import('../../telemetry/of-agent.ts');
  const telemetry = startAgentTelemetry({ config, url, token });
  tellSupervisor({ type: 'ready' });
  const stallLimitMs = inspectorUrl() === undefined ? options.stallLimit : 0;
  const watched = underWatch({ type: 'watch', url, token, stallLimitMs });
  const log = (message: string) => {
    console.error(options.json ? JSON.stringify({ at: new Date(), message }) : message);
  };
  await runAgent({
    ...{ url, token, workflows, signal, log, resultStore, ...watched },
    ...{ name: options.name, queues: options.queue, concurrency: options.concurrency },
    ...{ labels: options.label, environment: options.environment },
    ...{ watch: options.watch === true, drainMs: options.drain },
    isolation: {
      ...{ mode: options.isolation, maxWorkers: options.workers },
      ...(config.telemetry.disabled ? {} : { setup: WORKER_TELEMETRY }),
      env: { SIGNALBOX_URL: url, SIGNALBOX_TOKEN: token },
    },
  }).catch((error: unknown) => {
    tellSupervisor({ type: 'hopeless' } satisfies AgentWord);
    // Telemetry that nobody takes would keep the process, which beats no longer and would seem to be blocked.
    setTimeout(() => process.exit(1), HOPELESS_END_MS).unref();
    throw error;
  });
  await telemetry.stop();
  if (process.connected) process.disconnect();
  setImmediate(() => process.exit());
}

/** Shows whoever watches this process that it lives. */
function underWatch(
  first: Extract<AgentWord, { type: 'watch' }>,
): Pick<RunAgentOptions, 'onSession' | 'onFiles'> {
  tellSupervisor(first);
  setInterval(() => tellSupervisor({ type: 'beat' } satisfies AgentWord), BEAT_EVERY_MS).unref();
  return {
    onSession: (id) => tellSupervisor({ type: 'session', id } satisfies AgentWord),
    onFiles: (faults) => tellSupervisor({ type: 'files', faults } satisfies AgentWord),
  };
}
