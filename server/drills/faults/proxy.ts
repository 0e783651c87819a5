/**
 * A TCP proxy that can cut the line between two processes without either noticing: connections stay open and
 * nothing gets through, as when a network drops packets. On healing, what was held back is delivered, as TCP's
 * retransmission would.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** `cut`: nothing passes either way; `answers-lost`: requests arrive, answers do not come back. */
export type LineState = 'open' | 'cut' | 'answers-lost';

export interface TcpProxy {
  readonly url: string;
  set(state: LineState): void;
  stop(): Promise<void>;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** @param target where it leads to: `http://127.0.0.1:4400` */
export async function startTcpProxy(target: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(target);
  const pairs = new Set<Pair>();
  let state: LineState = 'open';
  const apply = (pair: Pair) => {
    flow(pair.client, state !== 'cut');
    flow(pair.server, state === 'open');
  };
  const listener = createServer((client) => {
    const pair: Pair = { client, server: connect({ host: hostname, port: Number(port) }) };
    pairs.add(pair);
    join(pair, () => pairs.delete(pair));
    apply(pair);
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('no TCP port was given');
  return {
    url: `http://127.0.0.1:${address.port}`,
    set(next) {
      state = next;
      for (const pair of pairs) apply(pair);
    },
    async stop() {
      for (const { client, server } of pairs) {
        client.destroy();
        server.destroy();
      }
      listener.close();
      await once(listener, 'close');
    },
  };
}

function flow(socket: Socket, open: boolean): void {
  if (open) socket.resume();
  else socket.pause();
}

function join({ client, server }: Pair, ended: () => void): void {
  const end = () => {
    client.destroy();
    server.destroy();
    ended();
  };
  client.on('data', (chunk) => server.write(chunk));
  server.on('data', (chunk) => client.write(chunk));
  client.on('end', () => server.end());
  server.on('end', () => client.end());
  for (const socket of [client, server]) socket.on('error', end).on('close', end);
}
