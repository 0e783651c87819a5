import { hostname } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { parseDuration } from '../../../domain/time.ts';
import { readConfig } from '../../config.ts';
import { workflowFolders } from '../../workflow-folders.ts';
import { endSignal, tellSupervisor } from '../end-signal.ts';
import { UsageError } from '../exit.ts';

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly name: string;
  readonly queue: string[];
  readonly concurrency: number;
  readonly workflows?: string[];
  readonly watch?: boolean;
  readonly drain: number;
  readonly json?: boolean;
}

const MAX_CONCURRENCY = 10_000;

/** `signalbox agent` */
export function agentCommand(): Command {
  return new Command('agent')
    .description('an agent alone: runs tasks for a server')
    .option('--url <url>', 'server (else SIGNALBOX_URL)')
    .option('--token <token>', 'token of role agent (else SIGNALBOX_TOKEN)')
    .option('--name <name>', 'name that the console shows', hostname())
    .option('--queue <queues...>', 'queues to take work from', ['default'])
    .option('--concurrency <tasks>', 'tasks at a time', readConcurrency, 16)
    .option('--workflows <directories...>', 'folders with workflow files (workflows)')
    .option('--watch', 'read files again when they change')
    .option('--drain <duration>', 'how long running tasks may go on at the end', readDrain, 5_000)
    .option('--json', 'log lines of JSON')
    .action(runAgentRole);
}

function readConcurrency(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= MAX_CONCURRENCY) return value;
  throw new InvalidArgumentError(`Give a whole number from 1 to ${MAX_CONCURRENCY}.`);
}

function readDrain(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

async function runAgentRole(options: Options): Promise<void> {
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
  const { runAgent } = await import('../../../orchestrator/agent/main.ts');
  const { startAgentTelemetry } = await import('../../telemetry/of-agent.ts');
  const telemetry = startAgentTelemetry({ config, url, token });
  tellSupervisor({ type: 'ready' });
  const log = (message: string) => {
    console.error(options.json ? JSON.stringify({ at: new Date(), message }) : message);
  };
  await runAgent({
    ...{ url, token, workflows, signal, log },
    ...{ name: options.name, queues: options.queue, concurrency: options.concurrency },
    ...{ watch: options.watch === true, drainMs: options.drain },
  });
  await telemetry.stop();
  if (process.connected) process.disconnect();
  setImmediate(() => process.exit(0));
}
