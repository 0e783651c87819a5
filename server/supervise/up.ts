/** `signalbox up`: everything on one machine, started in order, kept running, ended in the opposite order. */
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import type { WorkflowFileError } from '../../domain/agent-protocol.ts';
import { systemClock } from '../../domain/time.ts';
import { Credentials } from '../auth/credentials.ts';
import type { Config } from '../config.ts';
import { migrate } from '../migrate.ts';
import { createStops, type Stops } from '../stops.ts';
import { workflowFolders } from '../workflow-folders.ts';
import {
  dropConnection,
  loadSecrets,
  type Secrets,
  saveConnection,
  takeDataDir,
} from './data-dir.ts';
import { usablePort } from './free-port.ts';
import { type ServerReady, startAgentProcess, startServerProcess } from './roles.ts';
import { type Stores, startStores } from './stores.ts';

const STOP_LIMIT_MS = 7_000;
const AGENT_LIMIT_MS = 20_000;
const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url));

export interface UpOptions {
  readonly config: Config;
  readonly examples: boolean;
  readonly agent: boolean;
  log(message: string): void;
  /** Told when a part is ready, with how long it took. */
  progress(what: string, tookMs: number): void;
  /** Told all that is wrong with workflow files, each time that they were read. */
  onFiles(faults: readonly WorkflowFileError[]): void;
}

/** What is told when everything is up. */
export interface UpReady {
  readonly url: string;
  readonly token: string;
  readonly loginUrl: string;
  readonly otlpUrl: string;
  readonly clickhouseUrl: string;
  readonly clickhouseUser: string;
  readonly clickhousePassword: string;
  readonly databaseUrl: string;
}

export interface RunningUp {
  readonly ready: UpReady;
  stop(): Promise<void>;
}

/**
 * Starts everything.
 * @throws an error for a person: which port is taken, what is wrong with a database
 */
export async function startUp(options: UpOptions): Promise<RunningUp> {
  const { config, log } = options;
  const stops = createStops(log);
  try {
    stops.push('data directory', await takeDataDir(config.dataDir));
    const ready = await startParts(options, stops);
    return { ready, stop: () => stops.run(STOP_LIMIT_MS) };
  } catch (error) {
    await stops.run(STOP_LIMIT_MS);
    throw error;
  }
}

async function startParts(options: UpOptions, stops: Stops): Promise<UpReady> {
  const { config, log, progress } = options;
  // Told before anything is started, so that a mistake costs no time.
  const own = workflowFolders(config.workflows);
  const folders = options.examples && existsSync(EXAMPLES) ? [...own, EXAMPLES] : own;
  for (const [port, setting] of [
    [config.port, 'SIGNALBOX_PORT'],
    [config.otlpPort, 'SIGNALBOX_OTLP_PORT'],
  ] as const) {
    if (port !== 0) await usablePort(config.host, port, setting);
  }
  const secrets = await loadSecrets(config.dataDir);
  const embedded: (() => Promise<void>)[] = [];
  stops.push('databases', () => Promise.all(embedded.map((stop) => stop())));
  const stores = await startStores({
    ...{ config, secrets, log, ready: progress },
    onStarted: (_name, part) => embedded.push(() => part.stop()),
  });
  const loginCode = await prepareDatabase(stores.databaseUrl, secrets);
  let startedAt = performance.now();
  const server = await startServerProcess(config, stores, log);
  stops.push('server', () => server.stop());
  progress('server', performance.now() - startedAt);
  if (options.agent) {
    startedAt = performance.now();
    const agent = await startAgentProcess({
      ...{ config, server: server.first, secrets, workflows: folders, log },
      onFiles: options.onFiles,
    });
    stops.push('agent', () => agent.stop());
    await agentRegistered(server.first.url, secrets.adminToken);
    progress('agent', performance.now() - startedAt);
  }
  const ready = describe(server.first, stores, secrets, loginCode);
  const { url, token, otlpUrl, databaseUrl } = ready;
  await saveConnection(config.dataDir, { url, token, otlpUrl, databaseUrl, pid: process.pid });
  stops.push('connection file', () => dropConnection(config.dataDir));
  return ready;
}

function describe(
  { url, otlpUrl }: ServerReady,
  { databaseUrl, clickhouse }: Stores,
  secrets: Secrets,
  loginCode: string,
): UpReady {
  return {
    ...{ url, token: secrets.adminToken, loginUrl: `${url}/login#code=${loginCode}`, otlpUrl },
    clickhouseUrl: clickhouse.url,
    clickhouseUser: clickhouse.reader.user,
    clickhousePassword: clickhouse.reader.password,
    databaseUrl,
  };
}

/** Migrates, makes the instance's own tokens valid. @returns a fresh login code */
async function prepareDatabase(databaseUrl: string, secrets: Secrets): Promise<string> {
  await migrate(databaseUrl);
  const db = new pg.Pool({ connectionString: databaseUrl, max: 1 });
  const credentials = new Credentials(db, systemClock);
  try {
    const admin = await credentials.ensureToken('admin', 'admin', secrets.adminToken);
    await credentials.ensureToken('agent', 'agent', secrets.agentToken);
    return await credentials.createLoginCode({ name: admin, role: 'admin' });
  } finally {
    credentials.close();
    await db.end();
  }
}

/** An agent that is slow to register (many files) does not hold up the start for ever. */
async function agentRegistered(url: string, token: string): Promise<void> {
  const until = performance.now() + AGENT_LIMIT_MS;
  while (performance.now() < until) {
    const response = await fetch(`${url}/api/v1/agents`, {
      headers: { authorization: `Bearer ${token}` },
    }).catch(() => undefined);
    const body = response?.ok
      ? ((await response.json()) as { items: { state: string; name: string }[] })
      : undefined;
    if (body?.items.some(({ state, name }) => state === 'online' && name === 'local')) return;
    await delay(100);
  }
}
