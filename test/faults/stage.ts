/**
 * A whole installation, each part in a process of its own: PostgreSQL, ClickHouse, servers side by side, agents
 * that reach their server over a line that can be cut. Parts that die are started again at the same place, as a
 * supervisor would.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { systemClock } from '../../domain/time.ts';
import { Credentials } from '../../server/auth/credentials.ts';
import { startTcpProxy, type TcpProxy } from '../../server/drills/faults/proxy.ts';
import { migrate } from '../../server/migrate.ts';
import { startProcess } from '../support/child-process.ts';
import { startTestClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { freePort } from '../support/free-port.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Part, supervised } from './part.ts';
import { type FaultyPostgres, startFaultyPostgres } from './postgres.ts';
import { workflowFile } from './work.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'server', 'cli', 'main.ts');
const SKEWED_CLOCK = join(import.meta.dirname, 'skewed-clock.ts');
const START_LIMIT_MS = 60_000;
/** Short, so that what a lost agent held comes back soon. */
export const LEASE_MS = 3_000;

export interface ServerPart extends Part {
  readonly url: string;
}

export interface AgentPart extends Part {
  readonly line: TcpProxy;
}

export interface Stage extends AsyncDisposable {
  readonly directory: string;
  readonly postgres: FaultyPostgres;
  readonly effects: FaultyPostgres;
  /** A line for each effect that is not in `effects`. */
  readonly effectsFile: string;
  readonly clickhouse: TestClickHouse;
  readonly servers: readonly ServerPart[];
  readonly agents: readonly AgentPart[];
  readonly token: string;
}

/** How far the clock of each server and agent is off. */
const SERVER_SKEWS_MS = [0, 7 * 60_000];
const AGENT_SKEWS_MS = [0, -4 * 60_000, 11 * 60_000];

/**
 * @param postgresDirectory where PostgreSQL keeps its data, if not in a directory of its own
 */
export async function startStage(postgresDirectory?: string): Promise<Stage> {
  const stack = new AsyncDisposableStack();
  try {
    const temp = stack.use(await makeTempDir('faults'));
    const effects = stack.use(await startFaultyPostgres(await ensure(join(temp.path, 'effects'))));
    const home = postgresDirectory ?? (await ensure(join(temp.path, 'product')));
    const postgres = stack.use(await startFaultyPostgres(home));
    const clickhouse = stack.use(await startTestClickHouse());
    await prepareEffects(effects.url);
    await migrate(postgres.url);
    const tokens = await makeTokens(postgres.url);
    const effectsFile = join(temp.path, 'effects.txt');
    await writeFile(effectsFile, '');
    const workflows = await ensure(join(temp.path, 'workflows'));
    await writeFile(join(workflows, 'work.ts'), workflowFile(effects.url, effectsFile));
    const servers: ServerPart[] = [];
    for (const [index, skewMs] of SERVER_SKEWS_MS.entries()) {
      const directory = await ensure(join(temp.path, `server-${index}`));
      const server = await startServerPart(`server-${index}`, {
        ...{ directory, skewMs, postgres, clickhouse },
      });
      servers.push(stack.use(server));
    }
    const agents: AgentPart[] = [];
    for (const [index, skewMs] of AGENT_SKEWS_MS.entries()) {
      const url = servers[index % servers.length]?.url ?? '';
      const line = await startTcpProxy(url);
      stack.defer(() => line.stop());
      const agent = startAgentPart(`agent-${index}`, {
        ...{ line, skewMs, token: tokens.agent, workflows },
      });
      agents.push(stack.use(agent));
    }
    const parts = stack.move();
    return {
      ...{ directory: temp.path, postgres, effects, effectsFile, clickhouse, servers, agents },
      token: tokens.admin,
      [Symbol.asyncDispose]: () => parts.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

async function ensure(path: string): Promise<string> {
  await mkdir(path, { recursive: true });
  return path;
}

async function prepareEffects(url: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query('CREATE TABLE effect (key text)');
  await client.end();
}

async function makeTokens(url: string): Promise<{ admin: string; agent: string }> {
  const db = new pg.Pool({ connectionString: url, max: 1 });
  const credentials = new Credentials(db, systemClock);
  const admin = await credentials.createToken('faults', 'admin', 'test');
  const agent = await credentials.createToken('faults-agent', 'agent', 'test');
  await credentials.close();
  await db.end();
  return { admin: admin.token, agent: agent.token };
}

/** Environment of a process whose clock is wrong. */
function skewed(skewMs: number): Record<string, string | undefined> {
  const plain = { NODE_ENV: undefined, VITEST: undefined };
  if (skewMs === 0) return plain;
  return {
    ...plain,
    NODE_OPTIONS: `--import=${SKEWED_CLOCK}`,
    SIGNALBOX_TEST_SKEW_MS: String(skewMs),
  };
}

async function startServerPart(
  name: string,
  options: {
    readonly directory: string;
    readonly skewMs: number;
    readonly postgres: FaultyPostgres;
    readonly clickhouse: TestClickHouse;
  },
): Promise<ServerPart> {
  const { directory, skewMs, postgres, clickhouse } = options;
  const { writer, reader } = clickhouse;
  const port = await freePort();
  const env = {
    ...skewed(skewMs),
    DATABASE_URL: postgres.url,
    CLICKHOUSE_URL: clickhouse.url.replace('//', `//${writer.username}:${writer.password}@`),
    SIGNALBOX_CLICKHOUSE_READER: `${reader.username}:${reader.password}`,
    SIGNALBOX_DATA_DIR: directory,
    SIGNALBOX_LEASE: `${LEASE_MS}ms`,
    SIGNALBOX_LOG_LEVEL: 'warn',
    OTEL_SDK_DISABLED: 'true',
  };
  const args = [MAIN, 'server', '--json', '--port', String(port), '--otlp-port', '0'];
  const start = () => startProcess(process.execPath, args, { env });
  const part = supervised(name, start);
  await part.process().waitForLine(/^\{"url"/, START_LIMIT_MS);
  return Object.assign(part, { url: `http://127.0.0.1:${port}` });
}

function startAgentPart(
  name: string,
  options: {
    readonly line: TcpProxy;
    readonly skewMs: number;
    readonly token: string;
    readonly workflows: string;
  },
): AgentPart {
  const { line, skewMs, token, workflows } = options;
  const env = { ...skewed(skewMs), OTEL_SDK_DISABLED: 'true', SIGNALBOX_TOKEN: token };
  const args = [MAIN, 'agent', '--url', line.url, '--name', name, '--workflows', workflows];
  const start = () =>
    startProcess(process.execPath, [...args, '--concurrency', '40', '--json'], { env });
  return Object.assign(supervised(name, start), { line });
}

/** Calls the API of whichever server answers. @throws where none does within the limit */
export async function callAny(
  stage: Stage,
  method: string,
  path: string,
  body?: unknown,
  timeoutMs = 120_000,
): Promise<unknown> {
  let turn = 0;
  return waitFor(
    async () => {
      const server = stage.servers[turn++ % stage.servers.length];
      const response = await fetch(`${server?.url}/api/v1${path}`, {
        method,
        signal: AbortSignal.timeout(5_000),
        headers: { authorization: `Bearer ${stage.token}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
      return JSON.parse(text) as unknown;
    },
    { timeoutMs, intervalMs: 200, what: `an answer to ${method} ${path}` },
  );
}
