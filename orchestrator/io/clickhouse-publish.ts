/**
 * Puts what was staged into the place that is read, in one step. Several partitions have no such step of their own in
 * ClickHouse: a table is put together out of the staged partitions and of all others as they are (parts are linked,
 * not copied), and exchanged for the one that is read. What another writer publishes in the meantime would be lost
 * with the old table, so those who publish partitions take turns: who has made the table `…__turn` has the turn.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type ClickHouse, quote } from './clickhouse-http.ts';
import { columnsOf } from './clickhouse-rows.ts';
import type { Settings } from './clickhouse-table.ts';
import { withHash } from './identifiers.ts';

/** Names of the tables of one write; all but the first two quoted with their database. */
export interface Tables {
  readonly database: string;
  readonly table: string;
  readonly target: string;
  readonly staging: string;
  /** Where several partitions and the rest are put together. */
  readonly whole: string;
}

/** @param partitionKeys null for an asset without partitions */
export async function publish(
  clickhouse: ClickHouse,
  tables: Tables,
  settings: Pick<Settings, 'partitionColumn'>,
  partitionKeys: readonly string[] | null,
): Promise<void> {
  const { target, staging } = tables;
  const isRange = partitionKeys !== null && partitionKeys.length !== 1;
  if (partitionKeys === null) {
    if (await takePlace(clickhouse, tables)) return;
    await clickhouse.run(`EXCHANGE TABLES ${staging} AND ${target}`);
  } else {
    const turn = await takeTurn(clickhouse, tables);
    try {
      if (await takePlace(clickhouse, tables)) return;
      const [only, ...more] = partitionKeys;
      if (only !== undefined && more.length === 0) {
        await replacePartition(clickhouse, tables, clickhouse.text(only));
      } else {
        await putTogether(clickhouse, tables, settings.partitionColumn, new Set(partitionKeys));
        await turn.check();
        await clickhouse.run(`EXCHANGE TABLES ${tables.whole} AND ${target}`);
      }
    } finally {
      await turn.end();
    }
  }
  if (isRange) await clickhouse.tidy(`DROP TABLE IF EXISTS ${tables.whole} SYNC`);
  await clickhouse.tidy(`DROP TABLE IF EXISTS ${staging} SYNC`);
}

async function replacePartition(
  clickhouse: ClickHouse,
  { target, staging }: Tables,
  partition: string,
): Promise<void> {
  const [some] = await clickhouse.rows(`SELECT 1 FROM ${staging} LIMIT 1`);
  // A partition of no rows is none, which ClickHouse does not take for a source.
  const change = some
    ? `REPLACE PARTITION ${partition} FROM ${staging}`
    : `DROP PARTITION ${partition}`;
  await clickhouse.run(`ALTER TABLE ${target} ${change}`);
}

/** Where there is no table yet, the staged one is the table. @returns false where there is one */
async function takePlace(clickhouse: ClickHouse, { target, staging }: Tables): Promise<boolean> {
  const exists = async () => (await columnsOf(clickhouse, target)) !== null;
  if (await exists()) return false;
  try {
    await clickhouse.run(`RENAME TABLE ${staging} TO ${target}`);
    return true;
  } catch (error) {
    // Another writer was the first.
    if (!(await exists())) throw error;
    return false;
  }
}

async function putTogether(
  clickhouse: ClickHouse,
  { target, staging, whole }: Tables,
  partitionColumn: string,
  keys: ReadonlySet<string>,
): Promise<void> {
  await clickhouse.run(`DROP TABLE IF EXISTS ${whole} SYNC`);
  await clickhouse.run(`CREATE TABLE ${whole} AS ${target}`);
  const column = quote(partitionColumn);
  const partitions = (table: string) =>
    clickhouse.rows<[string, string]>(
      `SELECT _partition_id, any(${column}) FROM ${table} GROUP BY 1`,
    );
  const kept = (await partitions(target)).filter(([, key]) => !keys.has(key));
  await attach(clickhouse, whole, target, kept);
  await attach(clickhouse, whole, staging, await partitions(staging));
}

const AT_ONCE = 200;

async function attach(
  clickhouse: ClickHouse,
  to: string,
  from: string,
  partitions: readonly (readonly [id: string, key: string])[],
): Promise<void> {
  for (let at = 0; at < partitions.length; at += AT_ONCE) {
    const commands = partitions
      .slice(at, at + AT_ONCE)
      .map(([id]) => `ATTACH PARTITION ID ${clickhouse.text(id)} FROM ${from}`);
    await clickhouse.run(`ALTER TABLE ${to} ${commands.join(', ')}`);
  }
}

interface Turn {
  /** @throws Error where it was taken away, since it took too long */
  check(): Promise<void>;
  end(): Promise<void>;
}

/** A turn takes milliseconds; one that lasts longer belongs to somebody who died. */
const TURN_S = 60;
const LOOK_MS = 100;

async function takeTurn(clickhouse: ClickHouse, { database, table }: Tables): Promise<Turn> {
  const name = `${quote(database)}.${quote(withHash(`${table}__turn`, table))}`;
  const holder = async () => [...((await columnsOf(clickhouse, name))?.keys() ?? [])][0];
  const own = randomUUID();
  for (;;) {
    const [at] = await clickhouse.rows<[string]>('SELECT toString(toUnixTimestamp(now()))');
    const now = Number(at?.[0]);
    const mine = `${now} ${own}`;
    const made = await clickhouse
      .run(`CREATE TABLE ${name} (${quote(mine)} UInt8) ENGINE = Memory`)
      .then(() => null)
      .catch((error: unknown) => error);
    const standing = await holder();
    if (standing === mine) return turnOf(clickhouse, name, mine, holder);
    // Neither made nor there: it is not for want of a turn that it cannot be made.
    if (standing === undefined && made !== null && !isTaken(made)) throw made;
    if (standing !== undefined && now - Number(standing.split(' ')[0]) > TURN_S) {
      await clickhouse.run(`DROP TABLE IF EXISTS ${name} SYNC`);
      continue;
    }
    await delay(LOOK_MS);
    clickhouse.signal.throwIfAborted();
  }
}

function turnOf(
  clickhouse: ClickHouse,
  name: string,
  mine: string,
  holder: () => Promise<string | undefined>,
): Turn {
  return {
    async check() {
      if ((await holder()) === mine) return;
      throw new Error(`it took longer than ${TURN_S} s to publish, and another writer had a turn`);
    },
    async end() {
      if ((await holder().catch(() => mine)) !== mine) return;
      await clickhouse.tidy(`DROP TABLE IF EXISTS ${name} SYNC`);
    },
  };
}

/** The table was there at that moment. */
function isTaken(error: unknown): boolean {
  return error instanceof Error && /already exists|57/i.test(`${error.message}${codeOf(error)}`);
}

function codeOf(error: object): string {
  return 'code' in error ? String(error.code) : '';
}
