import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, RefusedDataError } from '../../../collector/clickhouse/connection.ts';
import { createWriter, toRows } from '../../../collector/clickhouse/writer.ts';
import { makeTempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { PASSWORDS, startCollector } from '../start.ts';
import { type RestartableClickHouse, startRestartable } from './restartable.ts';

let clickhouse: RestartableClickHouse;
let connection: ReturnType<typeof connect>;
let nextPool = 0;

beforeAll(async () => {
  clickhouse = await startRestartable();
  await using _ = await startCollector(clickhouse.url);
  connection = connect({
    url: clickhouse.url,
    reader: { user: 'reader', password: PASSWORDS.reader },
    writer: { user: 'writer', password: PASSWORDS.writer },
  });
});
afterAll(async () => {
  await connection.close();
  await clickhouse[Symbol.asyncDispose]();
});

const TABLE = 'signalbox.pool_samples';

function row(pool: string, used: number, fields: object = {}) {
  return toRows([{ at: Date.UTC(2026, 10, 24), pool, kind: 'otel', used, ...fields }]);
}

async function usedOf(pool: string): Promise<number[]> {
  const rows = await connection.query({
    sql: `SELECT used FROM ${TABLE} WHERE pool = {pool:String} ORDER BY used`,
    parameters: { pool },
  });
  return rows.map((each) => Number(each['used']));
}

async function openWriter(options: Partial<Parameters<typeof createWriter>[0]> = {}) {
  const temp = await makeTempDir('spool');
  const lines: string[] = [];
  const writer = createWriter({
    spoolDir: temp.path,
    send: connection.insert,
    log: (line) => lines.push(line),
    ...options,
  });
  nextPool += 1;
  return {
    writer,
    lines,
    pool: `pool-${nextPool}`,
    spoolDir: temp.path,
    async [Symbol.asyncDispose]() {
      await writer.stop();
      await temp.remove();
    },
  };
}

describe('what comes from outside', () => {
  it('is queryable once the insert has resolved, and many small requests share few inserts', async () => {
    let inserts = 0;
    await using opened = await openWriter({
      send: (batch) => {
        inserts += 1;
        return connection.insert(batch);
      },
    });
    const { writer, pool } = opened;
    await writer.insert(TABLE, row(pool, 0));
    expect(await usedOf(pool)).toEqual([0]);
    await Promise.all(
      Array.from({ length: 200 }, (_, n) => writer.insert(TABLE, row(pool, n + 1))),
    );
    expect((await usedOf(pool)).length).toBe(201);
    expect(inserts).toBeLessThan(5);
    expect(writer.bufferedBytes).toBe(0);
  });

  it("fails alone where its rows do not fit, without the other senders' rows", async () => {
    await using opened = await openWriter();
    const { writer, pool } = opened;
    const results = await Promise.allSettled([
      writer.insert(TABLE, row(pool, 1)),
      writer.insert(TABLE, row(pool, 2, { no_such_column: 1 })),
      writer.insert(TABLE, row(pool, 3)),
    ]);
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(results[1]).toMatchObject({ reason: expect.any(RefusedDataError) });
    expect(await usedOf(pool)).toEqual([1, 3]);
  });

  it('counts once where the answer to an insert was lost and it is sent again', async () => {
    let lost = 0;
    await using opened = await openWriter({
      async send(batch) {
        await connection.insert(batch);
        if (lost++ === 0) throw new Error('the connection broke before the answer');
      },
    });
    const { writer, pool } = opened;
    await writer.insert(TABLE, row(pool, 7));
    expect(lost).toBe(2);
    expect(await usedOf(pool)).toEqual([7]);
  });

  it('is told to come again where the buffers are full, and where ClickHouse stays away', async () => {
    const stuck: (() => void)[] = [];
    await using opened = await openWriter({
      maxMemoryBytes: 400,
      limits: { retryForMs: 300 },
      send: () => new Promise((_, reject) => stuck.push(() => reject(new Error('away')))),
    });
    const { writer, pool } = opened;
    const held = writer.insert(TABLE, row(pool, 1)).catch((error: unknown) => error);
    await waitFor(() => stuck.length === 1);
    const all = await Promise.allSettled(
      Array.from({ length: 9 }, () => Promise.race([writer.insert(TABLE, row(pool, 2)), null])),
    );
    expect(
      all.some(
        (result) => result.status === 'rejected' && result.reason.code === 'too-many-requests',
      ),
    ).toBe(true);
    const release = setInterval(() => {
      for (const reject of stuck.splice(0)) reject();
    }, 10);
    expect(await held).toMatchObject({ code: 'unavailable' });
    await waitFor(() => writer.bufferedBytes === 0);
    clearInterval(release);
  });
});

describe("the product's own samples", () => {
  it('wait on disk while ClickHouse is away, and are neither lost nor doubled', async () => {
    await using opened = await openWriter();
    const { writer, pool, spoolDir } = opened;
    writer.start();
    await writer.record(TABLE, row(pool, 0));
    await clickhouse.stop();
    for (let n = 1; n <= 5; n += 1) await writer.record(TABLE, row(pool, n));
    expect(writer.spooledBytes).toBeGreaterThan(0);
    expect(readdirSync(spoolDir).length).toBeGreaterThan(0);
    await clickhouse.start();
    await waitFor(() => writer.spooledBytes === 0);
    await writer.record(TABLE, row(pool, 6));
    expect(await usedOf(pool)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(readdirSync(spoolDir)).toEqual([]);
  });

  it('that a process left in the spool are sent by the next one, once', async () => {
    const temp = await makeTempDir('spool');
    const { pool } = await openWriter();
    const first = createWriter({
      spoolDir: temp.path,
      async send(batch) {
        await connection.insert(batch);
        throw new Error('the process dies before it hears of it');
      },
      log: () => undefined,
    });
    await first.record(TABLE, row(pool, 1));
    expect(first.spooledBytes).toBeGreaterThan(0);
    const second = createWriter({
      spoolDir: temp.path,
      send: connection.insert,
      log: () => undefined,
    });
    expect(second.spooledBytes).toBe(first.spooledBytes);
    second.start();
    await waitFor(() => second.spooledBytes === 0);
    expect(await usedOf(pool)).toEqual([1]);
    await second.stop();
    await temp.remove();
  });

  it('give up the oldest where the spool is full', async () => {
    let away = true;
    const sent: string[] = [];
    await using opened = await openWriter({
      maxSpoolBytes: 250,
      async send(batch) {
        if (away) throw new Error('away');
        sent.push(batch.body.toString());
      },
    });
    const { writer, pool, lines } = opened;
    for (let n = 0; n < 5; n += 1) await writer.record(TABLE, row(pool, n));
    expect(writer.spooledBytes).toBeLessThanOrEqual(250);
    expect(lines.at(-1)).toContain('the spool is full');
    away = false;
    writer.start();
    await waitFor(() => writer.spooledBytes === 0);
    expect(sent.map((body) => JSON.parse(body).used).at(-1)).toBe(4);
    expect(sent.length).toBeLessThan(5);
  });
});
