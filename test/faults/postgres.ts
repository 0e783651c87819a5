/** A PostgreSQL as the product runs its own, which can be crashed and started again on the same data. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostgresMessage, StartPostgres } from '../../server/supervise/postgres-messages.ts';
import { freePort } from '../support/free-port.ts';

const MODULE = new URL('../../server/supervise/postgres-process.ts', import.meta.url);

export interface FaultyPostgres extends AsyncDisposable {
  readonly url: string;
  /** Directory of its data. */
  readonly directory: string;
  /** Ends it as a crash does, without a checkpoint, and starts it again. */
  crash(): Promise<void>;
  /** Starts it again where it ended by itself. */
  revive(): Promise<void>;
}

/** @param directory a directory of its own, which PostgreSQL's user must be able to enter */
export async function startFaultyPostgres(directory: string): Promise<FaultyPostgres> {
  const data = join(directory, 'postgres');
  await mkdir(data, { recursive: true });
  const start: StartPostgres = {
    ...{ directory: data, port: await freePort(), user: 'postgres', password: 'test' },
    database: 'signalbox',
  };
  let holder = await startHolder(start);
  const revive = async () => {
    if (holder.child.exitCode === null && holder.child.signalCode === null) return;
    holder = await startHolder(start);
  };
  return {
    url: `postgres://postgres:test@127.0.0.1:${start.port}/signalbox`,
    directory: data,
    async crash() {
      const ended = once(holder.child, 'exit');
      process.kill(holder.postmaster, 'SIGQUIT');
      await ended;
      await revive();
    },
    revive,
    async [Symbol.asyncDispose]() {
      if (holder.child.exitCode !== null) return;
      const ended = once(holder.child, 'exit');
      holder.child.disconnect();
      await ended;
    },
  };
}

async function startHolder(start: StartPostgres) {
  const child = fork(MODULE, [], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  child.send(start);
  const [word] = (await once(child, 'message')) as [PostgresMessage];
  if (word.type === 'failed') throw new Error(word.message);
  return { child, postmaster: word.pid };
}
