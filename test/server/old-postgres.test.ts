/**
 * A server of PostgreSQL 13, as far as the question for its version goes: no package brings a server that old.
 * Messages as in PostgreSQL's documentation, "Message Formats".
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { expect, it } from 'vitest';
import { migrate } from '../../server/migrate.ts';

function message(type: string, body: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(type), length, body]);
}

const READY = message('Z', Buffer.from('I'));
const AUTHENTICATED = message('R', Buffer.alloc(4));

/** One row of one text column. */
function answer(column: string, value: string): Buffer {
  const field = Buffer.alloc(18);
  field.writeInt32BE(25, 6);
  field.writeInt16BE(-1, 10);
  const count = Buffer.from([0, 1]);
  const size = Buffer.alloc(4);
  size.writeInt32BE(value.length);
  return Buffer.concat([
    message('T', Buffer.concat([count, Buffer.from(`${column}\0`), field])),
    message('D', Buffer.concat([count, size, Buffer.from(value)])),
    message('C', Buffer.from('SHOW\0')),
    READY,
  ]);
}

async function oldServer(): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      if (data[0] === 0) socket.write(Buffer.concat([AUTHENTICATED, READY]));
      else if (data[0] === 'Q'.charCodeAt(0)) socket.write(answer('server_version_num', '130014'));
      else socket.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

it('refuses a PostgreSQL that is too old, and says which is needed', async () => {
  const server = await oldServer();
  try {
    const { port } = server.address() as AddressInfo;
    await expect(migrate(`postgres://user:secret@127.0.0.1:${port}/db`)).rejects.toMatchObject({
      message: expect.stringMatching(/PostgreSQL 13; Signalbox needs 15 or later/),
      advice: expect.stringContaining('Upgrade the server'),
    });
  } finally {
    server.close();
  }
});
