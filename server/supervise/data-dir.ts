/**
 * The data directory: whose it is, its secrets, its logs. One `up` at a time uses it. Secrets are made at the
 * first start and readable by their owner alone.
 */
import { chmod, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeSecret, makeToken } from '../auth/secret.ts';
import { checkSpace, folderError, makeFolder } from './make-folder.ts';

export interface Secrets {
  readonly adminToken: string;
  readonly agentToken: string;
  readonly postgresPassword: string;
  readonly clickhouseReaderPassword: string;
  readonly clickhouseWriterPassword: string;
}

/** What the command line needs to find a running instance. */
export interface Connection {
  readonly url: string;
  readonly token: string;
  readonly otlpUrl: string;
  readonly databaseUrl: string;
  readonly pid: number;
}

const SECRETS_FILE = 'secrets.json';
const CONNECTION_FILE = 'connection.json';
const LOCK_FILE = 'up.pid';
const OWNER_ONLY = 0o600;

/** Another `up` uses the directory. */
class DirectoryInUseError extends Error {
  constructor(directory: string, pid: number) {
    super(
      `${directory} is in use by another signalbox (process ${pid}): end that one, or choose another with --data-dir`,
    );
    this.name = 'DirectoryInUseError';
  }
}

/**
 * Makes the directory where need be and takes it.
 * @returns what gives it up
 * @throws DirectoryInUseError
 * @throws FolderError where it cannot be made or written to
 */
export async function takeDataDir(directory: string): Promise<() => Promise<void>> {
  await makeFolder(directory);
  await makeFolder(join(directory, 'logs'));
  const isNew = await stat(join(directory, SECRETS_FILE)).then(
    () => false,
    () => true,
  );
  if (isNew) await checkSpace(directory);
  const path = join(directory, LOCK_FILE);
  const mine = `${process.pid} ${await startOf(process.pid)}`;
  for (;;) {
    try {
      await writeFile(path, mine, { flag: 'wx' });
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as { code?: string }).code !== 'EEXIST') throw folderError(directory, error);
    }
    const [pidText = '', start = ''] = (await readFile(path, 'utf8').catch(() => '')).split(' ');
    const pid = Number(pidText);
    if (pid > 0 && isAlive(pid) && (await startOf(pid)) === start) {
      throw new DirectoryInUseError(directory, pid);
    }
    await rm(path, { force: true });
  }
}

/** Whether a process runs. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM';
  }
}

/** When a process started, to tell it from a later one of the same id; empty where the system does not say. */
async function startOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

/** Reads the secrets, or makes them. */
export async function loadSecrets(directory: string): Promise<Secrets> {
  const path = join(directory, SECRETS_FILE);
  const stored = await readFile(path, 'utf8').catch(() => undefined);
  if (stored !== undefined) {
    await chmod(path, OWNER_ONLY);
    return JSON.parse(stored) as Secrets;
  }
  const secrets: Secrets = {
    adminToken: makeToken(),
    agentToken: makeToken(),
    postgresPassword: makeSecret(),
    clickhouseReaderPassword: makeSecret(),
    clickhouseWriterPassword: makeSecret(),
  };
  await writePrivately(path, secrets);
  return secrets;
}

export async function saveConnection(directory: string, connection: Connection): Promise<void> {
  await writePrivately(join(directory, CONNECTION_FILE), connection);
}

/** Where the instance of a data directory listens; undefined where none runs. */
export async function loadConnection(directory: string): Promise<Connection | undefined> {
  try {
    const text = await readFile(join(directory, CONNECTION_FILE), 'utf8');
    const connection = JSON.parse(text) as Connection;
    return isAlive(connection.pid) ? connection : undefined;
  } catch {
    return undefined;
  }
}

export async function dropConnection(directory: string): Promise<void> {
  await rm(join(directory, CONNECTION_FILE), { force: true });
}

async function writePrivately(path: string, value: object): Promise<void> {
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, `${JSON.stringify(value, undefined, 2)}\n`, { mode: OWNER_ONLY });
  await rename(draft, path);
}

const MAX_LOG_BYTES = 20 * 1024 * 1024;

/** Path of a part's log; a large one of earlier times is moved aside. */
export async function logPath(directory: string, part: string): Promise<string> {
  const path = join(directory, 'logs', `${part}.log`);
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size > MAX_LOG_BYTES) await rename(path, `${path}.1`);
  return path;
}
