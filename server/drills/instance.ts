/**
 * The instance that a drill runs on: a whole Signalbox of its own in a temporary directory, so that a drill
 * never touches what a user runs. Its console link is printed; whoever likes watches.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type DrillApi, drillApi } from './api.ts';
import { type Child, startChild } from './children.ts';
import { serverModule } from './module-url.ts';
import { startTargetPostgres, type TargetPostgres } from './target-postgres.ts';

/** Short, so that a drill fits into minutes; the proportions are those of the defaults. */
const LEASE = '4s';

export interface DrillInstance {
  readonly url: string;
  readonly token: string;
  readonly loginUrl: string;
  readonly api: DrillApi;
  /** A PostgreSQL that belongs to the user's world: the drills' faults and effects go there. */
  readonly target: TargetPostgres;
  /** Where the drill's HTTP source listens once it is up. */
  readonly sourcePort: number;
  startAgent(options: AgentOptions): Promise<Child>;
  stop(): Promise<void>;
}

export interface AgentOptions {
  readonly name: string;
  readonly concurrency: number;
  /** Server address as this agent sees it; a proxy's, where it is to be cut off. */
  readonly url?: string;
  readonly queue?: string;
}

interface ReadyLine {
  readonly url: string;
  readonly token: string;
  readonly loginUrl?: string;
}

export async function startInstance(sourcePort: number): Promise<DrillInstance> {
  const directory = await mkdtemp(join(tmpdir(), 'signalbox-drill-'));
  const stops: (() => Promise<void>)[] = [() => rm(directory, { recursive: true, force: true })];
  const stop = async () => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  try {
    const target = await startTargetPostgres(join(directory, 'target'));
    stops.push(() => target.stop());
    const env = drillEnvironment(target, sourcePort);
    const workflows = fileURLToPath(new URL('./workflows', import.meta.url));
    const up = startChild(
      'signalbox up',
      serverModule('cli/main'),
      upArguments(directory, workflows),
      env,
    );
    stops.push(() => up.stop());
    const ready = await up.line(60_000, readReadyLine);
    return {
      url: ready.url,
      token: ready.token,
      loginUrl: ready.loginUrl ?? ready.url,
      api: drillApi(ready.url, ready.token),
      target,
      sourcePort,
      startAgent: (options) => startAgent(ready, workflows, env, options),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function upArguments(directory: string, workflows: string): string[] {
  return [
    ...['up', '--json', '--no-examples', '--no-agent'],
    ...['--data-dir', join(directory, 'data'), '--workflows', workflows],
    ...['--port', '0', '--otlp-port', '0', '--clickhouse-port', '0'],
  ];
}

function drillEnvironment(target: TargetPostgres, sourcePort: number): Record<string, string> {
  return {
    SIGNALBOX_LEASE: LEASE,
    SIGNALBOX_WATCHED_POSTGRES: `drill-db=${target.monitorUrl}`,
    DRILL_DATABASE_URL: target.workflowUrl,
    DRILL_SOURCE_URL: `http://127.0.0.1:${sourcePort}/customers`,
  };
}

function readReadyLine(line: string): ReadyLine | undefined {
  if (!line.startsWith('{')) return undefined;
  const value = JSON.parse(line) as Partial<ReadyLine>;
  return value.url && value.token ? (value as ReadyLine) : undefined;
}

async function startAgent(
  ready: ReadyLine,
  workflows: string,
  env: Record<string, string>,
  options: AgentOptions,
): Promise<Child> {
  const agent = startChild(
    `agent ${options.name}`,
    serverModule('cli/main'),
    [
      ...['agent', '--url', options.url ?? ready.url, '--name', options.name],
      ...['--queue', options.queue ?? 'default', '--concurrency', String(options.concurrency)],
      ...['--workflows', workflows],
    ],
    { ...env, SIGNALBOX_TOKEN: ready.token },
  );
  agent.process.stdout?.resume();
  return agent;
}
