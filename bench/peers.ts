/**
 * Other orchestrators beside Signalbox: the real ones, each installed into a Python environment of its own outside the
 * repository, on the same PostgreSQL, with the same shapes of tasks that do nothing. A peer that cannot be had here
 * is left out, and says why.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { usablePort } from '../server/supervise/free-port.ts';
import { makeFolder, standsUntilTheEnd } from './processes.ts';
import { count, type Report } from './report.ts';

interface Peer {
  readonly title: string;
  readonly packages: readonly string[];
  /** How it is run here, in words. */
  readonly how: string;
  readonly script: string;
  /** What it is told. `home` is a folder of its own, `database` a database without tables. */
  settings(of: { home: string; database: URL; port: number }): Promise<Record<string, string>>;
}

const FILES = fileURLToPath(new URL('./peers/', import.meta.url));
const CACHE = join(homedir(), '.cache', 'signalbox-bench');
/** A step of installing; a download may take its time. */
const INSTALL_LIMIT_MS = 600_000;
/** All that a peer does. */
const RUN_LIMIT_MS = 600_000;

export const PEERS: Readonly<Record<string, Peer>> = {
  airflow: {
    title: 'Airflow 3.3.2',
    packages: ['apache-airflow[postgres]==3.3.2', 'psycopg2-binary'],
    how: 'scheduler with LocalExecutor (parallelism 16), DAG processor and API server',
    script: 'airflow_bench.py',
    settings: airflowSettings,
  },
  prefect: {
    title: 'Prefect 3.9.1',
    packages: ['prefect==3.9.1', 'asyncpg'],
    how: 'server on PostgreSQL, flows called in one process',
    script: 'prefect_bench.py',
    async settings({ home, database, port }) {
      const url = database.href.replace('postgres://', 'postgresql+asyncpg://');
      return {
        PREFECT_HOME: home,
        PREFECT_API_URL: `http://127.0.0.1:${port}/api`,
        PREFECT_SERVER_DATABASE_CONNECTION_URL: url,
        PREFECT_SERVER_ANALYTICS_ENABLED: 'false',
        PREFECT_LOGGING_LEVEL: 'CRITICAL',
        PREFECT_LOGGING_TO_API_ENABLED: 'false',
        DO_NOT_TRACK: '1',
      };
    },
  },
  dagster: {
    title: 'Dagster 1.13.27',
    packages: ['dagster==1.13.27', 'dagster-postgres==0.29.27', 'sqlalchemy<2.1'],
    how: 'storage on PostgreSQL, jobs executed in one process (no daemon), and in processes',
    script: 'dagster_bench.py',
    async settings({ home, database }) {
      const url = database.href.replace('postgres://', 'postgresql://');
      const storage = `storage:\n  postgres:\n    postgres_url: "${url}"\n`;
      await writeFile(join(home, 'dagster.yaml'), `${storage}telemetry:\n  enabled: false\n`);
      return { DAGSTER_HOME: home, DO_NOT_TRACK: '1', PYTHONPATH: FILES };
    },
  },
};

async function airflowSettings({ home, database, port }: Parameters<Peer['settings']>[0]) {
  const base = `http://127.0.0.1:${port}`;
  const secret = crypto.randomUUID() + crypto.randomUUID();
  const plain = database.href.replace('postgres://', 'postgresql://');
  return {
    AIRFLOW_HOME: home,
    AIRFLOW__CORE__DAGS_FOLDER: await dagsFolder(home),
    AIRFLOW__CORE__LOAD_EXAMPLES: 'False',
    AIRFLOW__CORE__EXECUTOR: 'LocalExecutor',
    AIRFLOW__CORE__PARALLELISM: '16',
    AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION: 'False',
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS: 'admin:admin',
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE: join(home, 'passwords.json'),
    AIRFLOW__CORE__EXECUTION_API_SERVER_URL: `${base}/execution/`,
    AIRFLOW__CORE__FERNET_KEY: '',
    AIRFLOW__API__HOST: '127.0.0.1',
    AIRFLOW__API__PORT: String(port),
    AIRFLOW__API__BASE_URL: base,
    AIRFLOW__API__WORKERS: '1',
    AIRFLOW__API__SECRET_KEY: secret,
    AIRFLOW__API_AUTH__JWT_SECRET: secret,
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN: plain.replace('postgresql://', 'postgresql+psycopg2://'),
    AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME: '0.1',
    AIRFLOW__SCHEDULER__MAX_TIS_PER_QUERY: '64',
    AIRFLOW__LOGGING__LOGGING_LEVEL: 'WARNING',
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED: 'False',
    BENCH_DATABASE: plain,
  };
}

async function dagsFolder(home: string): Promise<string> {
  const folder = join(home, 'dags');
  await mkdir(folder);
  const dags = await readFile(join(FILES, 'airflow_dags.py'));
  await writeFile(join(folder, 'airflow_dags.py'), dags);
  return folder;
}

/** Installs and measures one after the other; what fails is told and left out. */
export async function benchPeers(
  names: readonly string[],
  databaseUrl: string,
  report: Report,
): Promise<void> {
  for (const [index, name] of names.entries()) {
    const peer = PEERS[name];
    if (!peer) continue;
    report.progress(peer.title, index, names.length);
    try {
      const python = await install(name, peer);
      await measure(name, peer, { python, databaseUrl }, report);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      report.note(`SKIPPED: ${peer.title}: ${why.trim().slice(-1_500)}`);
    }
  }
}

/** @returns the Python of an environment that has the peer */
async function install(name: string, { packages }: Peer): Promise<string> {
  const folder = join(CACHE, name);
  const python = join(folder, 'bin', 'python');
  const mark = join(folder, 'installed');
  const wanted = packages.join('\n');
  if ((await readFile(mark, 'utf8').catch(() => '')) === wanted) return python;
  const inTime = { limitMs: INSTALL_LIMIT_MS };
  await mkdir(CACHE, { recursive: true });
  await run('python3', ['-m', 'venv', folder], inTime);
  // Its resolver takes seconds where pip takes minutes.
  await run(python, ['-m', 'pip', 'install', '--quiet', 'uv'], inTime);
  await run(
    python,
    ['-m', 'uv', 'pip', 'install', '--quiet', '--python', python, ...packages],
    inTime,
  );
  await writeFile(mark, wanted);
  return python;
}

async function measure(
  name: string,
  peer: Peer,
  { python, databaseUrl }: { python: string; databaseUrl: string },
  report: Report,
): Promise<void> {
  const { path: home, remove } = await makeFolder();
  const database = new URL(databaseUrl);
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(`CREATE DATABASE bench_${name}`);
  database.pathname = `/bench_${name}`;
  try {
    const port = await usablePort('127.0.0.1', 0, '');
    const env = await peer.settings({ home, database, port });
    const text = await run(python, [join(FILES, peer.script)], { env, limitMs: RUN_LIMIT_MS });
    for (const line of text.split('\n').filter((one) => one.startsWith('{'))) {
      const { shape, tasks, seconds } = JSON.parse(line) as Measured;
      const rate = tasks / seconds;
      report.figure(
        `${peer.title}, ${shape.replaceAll('_', ' ')}`,
        `${rate.toFixed(1)} tasks/s (${count(tasks)} in ${seconds.toFixed(0)} s; ${peer.how})`,
        { tasksPerSecond: rate, tasks, seconds },
      );
    }
  } finally {
    await client.query(`DROP DATABASE bench_${name} WITH (FORCE)`);
    await client.end();
    await remove();
  }
}

interface Measured {
  readonly shape: string;
  readonly tasks: number;
  readonly seconds: number;
}

interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly limitMs: number;
}

/** Runs a program in a group of its own, all of which is gone in the end. @returns what it printed */
async function run(
  program: string,
  args: readonly string[],
  { env, limitMs }: RunOptions,
): Promise<string> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    detached: true,
  });
  const exited = once(child, 'close').catch((error: Error) => [error.message]);
  const end = standsUntilTheEnd(async () => {
    killGroup(child.pid, 'SIGTERM');
    const killing = setTimeout(() => killGroup(child.pid, 'SIGKILL'), 10_000);
    await exited;
    clearTimeout(killing);
    killGroup(child.pid, 'SIGKILL');
  });
  let printed = '';
  let complaint = '';
  child.stdout.on('data', (chunk: Buffer) => {
    printed += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk).slice(-4_000);
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    void end();
  }, limitMs);
  const [code] = (await exited) as [number | string | null];
  clearTimeout(timer);
  await end();
  if (code === 0) return printed;
  if (late) throw new Error(`${program} took longer than ${limitMs / 60_000} minutes`);
  throw new Error(complaint || `${program}: ${code}`);
}

function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // It is gone already.
  }
}
