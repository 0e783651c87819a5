import { once } from 'node:events';
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { connect } from '../../../orchestrator/store/connection.ts';
import { startTestPostgres } from '../../support/postgres.ts';

it('a connection that breaks in the middle of a transaction fails that one, and nothing else', async () => {
  await using database = await startTestPostgres();
  const sockets = new Set<Socket>();
  // Between the two, since only what breaks on the way makes the driver's client itself an emitter of errors.
  const between = createServer((near) => {
    const far = connectTcp(database.port, database.host);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  await once(between, 'listening');
  const url = new URL(database.url);
  url.port = String((between.address() as { port: number }).port);
  const connection = connect({ databaseUrl: url.href, log: () => undefined });
  try {
    const broken = connection.db.transaction(async (tx) => {
      await tx.query('SELECT 1');
      for (const socket of sockets) socket.resetAndDestroy();
      await tx.query('SELECT 2');
    });
    await expect(broken).rejects.toThrow();
    expect(await connection.db.query('SELECT 3 AS n')).toEqual([{ n: 3 }]);
  } finally {
    await connection.close();
    between.close();
  }
});

it('who wants to listen is told once, and by the error, that there is no connection', async () => {
  const near = createServer((socket) => socket.resetAndDestroy()).listen(0, '127.0.0.1');
  await once(near, 'listening');
  const { port } = near.address() as { port: number };
  const databaseUrl = `postgres://u:p@127.0.0.1:${port}/none`;
  const connection = connect({ databaseUrl, log: () => undefined });
  let lost = 0;
  const listening = connection.listen(
    ['channel'],
    () => undefined,
    () => {
      lost += 1;
    },
  );
  await expect(listening).rejects.toThrow();
  await connection.close();
  expect(lost).toBe(0);
  near.close();
});
