/**
 * A real ClickHouse for a test file: the product's own embedded server. Each caller gets a server of
 * its own, since the names of the product's databases and users are fixed; it starts in about a
 * second and holds a few hundred megabytes, so start one for a file, not one for a test.
 */
import { startEmbeddedClickHouse } from '../../collector/embedded/start.ts';
import { makeTempDir } from './temp-dir.ts';

/** An embedded ClickHouse with an empty data directory; `stop()` ends it and removes its data. */
export interface TestClickHouse extends AsyncDisposable {
  /** `http://127.0.0.1:port`, without credentials. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  readonly reader: { readonly username: 'reader'; readonly password: string };
  readonly writer: { readonly username: 'writer'; readonly password: string };
  readonly dataDir: string;
  stop(): Promise<void>;
}

/**
 * Starts a ClickHouse without tables; run the product's migrations on it as the test needs them.
 * @param options.dataDir start on existing data, which is then kept at the end
 */
export async function startTestClickHouse(
  options: { dataDir?: string } = {},
): Promise<TestClickHouse> {
  const temp = options.dataDir === undefined ? await makeTempDir('clickhouse') : undefined;
  const dataDir = options.dataDir ?? temp?.path ?? '';
  const host = '127.0.0.1';
  const reader = { username: 'reader', password: 'reader-password' } as const;
  const writer = { username: 'writer', password: 'writer-password' } as const;
  const server = await startEmbeddedClickHouse({
    dataDir,
    host,
    port: 0,
    readerPassword: reader.password,
    writerPassword: writer.password,
    log: () => undefined,
  });
  const stop = async () => {
    await server.stop();
    await temp?.remove();
  };
  const { url, port, pid } = server;
  return { url, host, port, pid, reader, writer, dataDir, stop, [Symbol.asyncDispose]: stop };
}
