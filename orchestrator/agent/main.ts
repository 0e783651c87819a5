/** The role `agent`: a process that runs workflow files for a server somewhere. */
import type { WorkflowFileError } from '../../domain/agent-protocol.ts';
import { type LoadedWorkflows, loadWorkflows } from '../define/load.ts';
import { registryOf } from '../define/registry.ts';
import { watchWorkflows } from '../define/watch.ts';
import { httpTransport } from './http-transport.ts';
import { startAgent } from './start.ts';

export interface RunAgentOptions {
  readonly url: string;
  readonly token: string;
  readonly queues: readonly string[];
  readonly concurrency: number;
  readonly name: string;
  /** Folders with workflow files. */
  readonly workflows: readonly string[];
  log(message: string): void;
  /** Reads files again when they change. */
  readonly watch?: boolean;
  /** Ends the agent; without it SIGTERM and SIGINT do. */
  readonly signal?: AbortSignal;
  /** How long running tasks may go on after it; 5 s unless told. */
  readonly drainMs?: number;
}

/**
 * Loads files, registers, works; resolves when it has ended cleanly, within 8 s of the signal.
 * @throws SignalboxError where the server refuses its token
 */
export async function runAgent(options: RunAgentOptions): Promise<void> {
  const { log } = options;
  const stopSignal = options.signal ?? processSignal();
  surviveStrayErrors(log);
  const loaded = await loadWorkflows(options.workflows);
  tellErrors(loaded.errors, log);
  log(`${loaded.definitions.length} workflows read from ${options.workflows.join(', ')}`);
  const agent = startAgent({
    ...options,
    transport: httpTransport(options),
    definitions: registryOf(loaded),
    captureConsole: true,
  });
  let generation = 0;
  const watching = options.watch
    ? watchWorkflows(
        options.workflows,
        async (changed: LoadedWorkflows) => {
          generation += 1;
          tellErrors(changed.errors, log);
          log(`${changed.definitions.length} workflows read again`);
          await agent.redefine(registryOf(changed, generation));
        },
        { onError: (error) => log(`could not read workflows again: ${error}`) },
      )
    : null;
  const stop = () => void agent.stop();
  if (stopSignal.aborted) stop();
  else stopSignal.addEventListener('abort', stop, { once: true });
  try {
    await agent.ended;
  } finally {
    watching?.close();
    stopSignal.removeEventListener('abort', stop);
    await agent.stop();
  }
}

function tellErrors(errors: readonly WorkflowFileError[], log: (message: string) => void): void {
  for (const { file, message } of errors) log(`${file}: ${message}`);
}

/** What the code of one task leaves behind (a promise, a broken connection) must not end the others. */
function surviveStrayErrors(log: (message: string) => void): void {
  const tell = (error: unknown) =>
    log(`stray error of a task: ${error instanceof Error ? error.stack : String(error)}`);
  process.on('unhandledRejection', tell);
  process.on('uncaughtException', tell);
}

function processSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
  return stop.signal;
}
