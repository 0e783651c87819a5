/** An embedded ClickHouse that can be stopped, killed, and started again at the same address with its data. */
import {
  type EmbeddedClickHouse,
  startEmbeddedClickHouse,
} from '../../../collector/embedded/start.ts';
import { freePort } from '../../support/free-port.ts';
import { makeTempDir } from '../../support/temp-dir.ts';
import { PASSWORDS } from '../start.ts';

export interface RestartableClickHouse extends AsyncDisposable {
  readonly url: string;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** SIGKILL, and waits until the process is gone. */
  kill(): Promise<void>;
}

/** Starts it. */
export async function startRestartable(): Promise<RestartableClickHouse> {
  const temp = await makeTempDir('clickhouse');
  const port = await freePort();
  let server: EmbeddedClickHouse | undefined;
  const self: RestartableClickHouse = {
    url: `http://127.0.0.1:${port}`,
    async start() {
      server = await startEmbeddedClickHouse({
        dataDir: temp.path,
        host: '127.0.0.1',
        port,
        readerPassword: PASSWORDS.reader,
        writerPassword: PASSWORDS.writer,
        log: () => undefined,
      });
    },
    async stop() {
      await server?.stop();
      server = undefined;
    },
    async kill() {
      if (!server) return;
      process.kill(server.pid, 'SIGKILL');
      await server.exited;
      server = undefined;
    },
    async [Symbol.asyncDispose]() {
      await self.stop();
      await temp.remove();
    },
  };
  await self.start();
  return self;
}
