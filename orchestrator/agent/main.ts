/** The role `agent`: a process that runs workflow files for a server somewhere. */
import type { WorkflowFileError } from '../../domain/agent-protocol.ts';
import { type LoadedWorkflows, loadWorkflows } from '../define/load.ts';
import { registryOf } from '../define/registry.ts';
import { watchWorkflows } from '../define/watch.ts';
import type { BlobStore } from '../results/blob-store.ts';
import { httpTransport } from './http-transport.ts';
import { directTo } from './results/direct.ts';
import { type AgentOptions, startAgent } from './start.ts';

export interface RunAgentOptions {
  readonly url: string;
  readonly token: string;
  readonly queues: readonly string[];
  /** Environment that it works for; production unless told. */
  readonly environment?: string | undefined;
  readonly labels?: Readonly<Record<string, string>>;
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
  /** Where the code of tasks runs; in this process unless told, until an attempt was lost with it. */
  readonly isolation?: Partial<NonNullable<AgentOptions['isolation']>>;
  /** A result store that the agent reaches by itself; through the server unless told. */
  readonly resultStore?: BlobStore | null;
  /** Told of each session that is registered. */
  onSession?(sessionId: string): void;
  /** Told after each reading what is wrong with files; nothing where nothing is. */
  onFiles?(faults: readonly WorkflowFileError[]): void;
}

/** Each takes about 60 MB. */
const MAX_WORKERS = 16;

/**
 * Loads files, registers, works; resolves when it has ended cleanly, within 8 s of the signal.
 * @throws SignalboxError where the server refuses its token
 */
export async function runAgent(options: RunAgentOptions): Promise<void> {
  const { log } = options;
  const stopSignal = options.signal ?? processSignal();
  const loaded = await loadWorkflows(options.workflows);
  const tellErrors = (errors: readonly WorkflowFileError[]) => {
    for (const { file, message } of errors) log(`${file}: ${message}`);
    options.onFiles?.(errors);
  };
  tellErrors(loaded.errors);
  log(`${loaded.definitions.length} workflows read from ${options.workflows.join(', ')}`);
  const agent = startAgent({
    ...options,
    transport: options.resultStore
      ? directTo(options.resultStore, httpTransport(options))
      : httpTransport(options),
    definitions: registryOf(loaded),
    isolation: { mode: 'auto', maxWorkers: MAX_WORKERS, ...options.isolation },
  });
  let generation = 0;
  const watching = options.watch
    ? watchWorkflows(
        options.workflows,
        async (changed: LoadedWorkflows) => {
          generation += 1;
          tellErrors(changed.errors);
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

function processSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
  return stop.signal;
}
