/** The product's own processes under the supervisor: the server, and an agent beside it. */

import type { WorkflowFileError } from '../../domain/agent-protocol.ts';
import type { Config } from '../config.ts';
import { AgentWatch, type AgentWord, WATCHED_NODE_OPTIONS } from './agent-watch.ts';
import { lastLines, startChild } from './child.ts';
import { logPath, type Secrets } from './data-dir.ts';
import { type Kept, keep } from './keep.ts';
import { modulePath } from './module-path.ts';
import type { Stores } from './stores.ts';

const READY_LIMIT_MS = 60_000;
const SERVER_STOP_LIMIT_MS = 6_000;
const AGENT_STOP_LIMIT_MS = 5_000;
/** Shorter than an agent's own, so that everything ends within ten seconds. */
const AGENT_DRAIN = '2s';
const AGENT_CONCURRENCY = 32;

export interface ServerReady {
  readonly url: string;
  readonly otlpUrl: string;
}

const COMMAND_LINE = modulePath('../cli/main.ts', import.meta.url);

export async function startServerProcess(
  config: Config,
  stores: Stores,
  log: (message: string) => void,
): Promise<Kept<ServerReady>> {
  const { clickhouse, databaseUrl } = stores;
  const path = await logPath(config.dataDir, 'server');
  return keep<ServerReady>(
    'the server',
    (first) =>
      startChild({
        ...{ name: 'the server', module: COMMAND_LINE, args: ['server'], logPath: path },
        ...{ readyLimitMs: READY_LIMIT_MS, stopLimitMs: SERVER_STOP_LIMIT_MS },
        env: {
          ...process.env,
          SIGNALBOX_DATA_DIR: config.dataDir,
          SIGNALBOX_HOST: config.host,
          // Free ports are chosen once: a server that is started again comes back at its address.
          SIGNALBOX_PORT: String(first ? portOf(first.url) : config.port),
          SIGNALBOX_OTLP_PORT: String(first ? portOf(first.otlpUrl) : config.otlpPort),
          SIGNALBOX_LOG_LEVEL: config.logLevel,
          DATABASE_URL: databaseUrl,
          CLICKHOUSE_URL: withCredentials(clickhouse.url, clickhouse.writer),
          SIGNALBOX_CLICKHOUSE_READER: `${clickhouse.reader.user}:${clickhouse.reader.password}`,
        },
      }),
    log,
  );
}

function portOf(url: string): string {
  return new URL(url).port;
}

function withCredentials(text: string, { user, password }: { user: string; password: string }) {
  const url = new URL(text);
  url.username = user;
  url.password = password;
  return url.href;
}

/** Settings of the server that are no business of an agent and of the user's code in it. */
const HIDDEN = {
  DATABASE_URL: undefined,
  CLICKHOUSE_URL: undefined,
  SIGNALBOX_CLICKHOUSE_READER: undefined,
  SIGNALBOX_WATCHED_POSTGRES: undefined,
};

export interface AgentProcessOptions {
  readonly config: Config;
  readonly server: ServerReady;
  readonly secrets: Secrets;
  /** Folders with workflow files. */
  readonly workflows: readonly string[];
  log(message: string): void;
  /** Told after each reading what is wrong with files. */
  onFiles(faults: readonly WorkflowFileError[]): void;
}

export async function startAgentProcess(options: AgentProcessOptions): Promise<Kept<unknown>> {
  const { config, server, secrets, workflows, log } = options;
  const path = await logPath(config.dataDir, 'agent');
  return keep<unknown>(
    'the agent',
    () =>
      startChild({
        ...{ name: 'the agent', module: COMMAND_LINE, logPath: path },
        nodeOptions: WATCHED_NODE_OPTIONS,
        onStart(child) {
          new AgentWatch(child, () => lastLines(path), log);
          child.on('message', (word: AgentWord) => {
            if (word.type === 'files') options.onFiles(word.faults);
          });
        },
        args: [
          ...['agent', '--name', 'local', '--watch', '--drain', AGENT_DRAIN],
          ...['--concurrency', String(AGENT_CONCURRENCY)],
        ],
        ...{ readyLimitMs: READY_LIMIT_MS, stopLimitMs: AGENT_STOP_LIMIT_MS },
        env: {
          ...process.env,
          ...HIDDEN,
          SIGNALBOX_URL: server.url,
          SIGNALBOX_TOKEN: secrets.agentToken,
          SIGNALBOX_WORKFLOWS: workflows.join(','),
          SIGNALBOX_LOG_LEVEL: config.logLevel,
        },
      }),
    log,
  );
}
