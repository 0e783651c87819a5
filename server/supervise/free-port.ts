import { once } from 'node:events';
import { createServer } from 'node:net';
import { listenError } from '../listen.ts';

/**
 * A port of the address that can be listened on.
 * @param port 0 for any
 * @param setting named in the advice where the port is taken
 */
export async function usablePort(host: string, port: number, setting: string): Promise<number> {
  const server = createServer();
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (error) {
    throw listenError(error, host, port, setting);
  }
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no TCP port was given');
  return address.port;
}
