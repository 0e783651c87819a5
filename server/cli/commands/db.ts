import { Command } from 'commander';
import type { RetentionPolicy, TableStatus } from '../../../domain/retention.ts';
import { systemClock } from '../../../domain/time.ts';
import { createRetention } from '../../../orchestrator/retention/service.ts';
import { connect } from '../../../orchestrator/store/connection.ts';
import { readConfig } from '../../config.ts';
import { migrate, migrationStates } from '../../migrate.ts';
import { loadConnection } from '../../supervise/data-dir.ts';
import { ExitWith, UsageError } from '../exit.ts';
import { renderTable, time } from '../output.ts';
import { retentionCommand } from './retention.ts';

interface Options {
  readonly dataDir?: string;
  readonly json?: boolean;
}

/** `signalbox db migrate|status|retention` */
export function dbCommand(): Command {
  return new Command('db')
    .description('The PostgreSQL database: its schema, its size, and what is kept')
    .addCommand(
      databaseCommand('migrate', 'bring the schema up to date; harmless when repeated').action(
        runMigrate,
      ),
    )
    .addCommand(
      databaseCommand(
        'status',
        'migrations, sizes of tables, and what retention did; exit code 1 where migrations are missing',
      ).action(runStatus),
    )
    .addCommand(retentionCommand());
}

function databaseCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option('--data-dir <directory>', 'data directory of the instance on this machine')
    .option('--json', 'print JSON');
}

async function runMigrate(options: Options): Promise<void> {
  const applied = await migrate(await databaseUrl(options));
  if (options.json) console.log(JSON.stringify({ applied }));
  else
    console.log(
      applied.length === 0 ? 'up to date' : applied.map((one) => `applied ${one}`).join('\n'),
    );
}

async function runStatus(options: Options): Promise<void> {
  const url = await databaseUrl(options);
  const migrations = await migrationStates(url);
  const isUpToDate = migrations.every(({ state }) => state === 'applied');
  const stored = isUpToDate ? await readStored(url) : { tables: [], retention: [] };
  const text = renderTable(
    migrations,
    [
      ['MODULE', (one) => one.module],
      ['MIGRATION', (one) => one.name],
      ['STATE', (one) => one.state],
    ],
    'no migrations',
  );
  if (options.json) console.log(JSON.stringify({ migrations, ...stored }));
  else {
    console.log(text);
    if (isUpToDate)
      console.log(`\n${renderTables(stored.tables)}\n\n${renderRounds(stored.retention)}`);
  }
  if (!isUpToDate) throw new ExitWith(1);
}

interface Stored {
  readonly tables: readonly TableStatus[];
  readonly retention: readonly RetentionPolicy[];
}

async function readStored(databaseUrl: string): Promise<Stored> {
  const connection = connect({ databaseUrl, log: () => undefined });
  try {
    const { service } = createRetention({ db: connection.db, clock: systemClock });
    return { tables: await service.tables(), retention: await service.list() };
  } finally {
    await connection.close();
  }
}

function renderTables(tables: readonly TableStatus[]): string {
  return renderTable(
    tables,
    [
      ['TABLE', (one) => one.table],
      ['SIZE', (one) => sizeOf(one.bytes)],
      ['ROWS', (one) => one.rows],
      ['DEAD', (one) => one.deadRows],
      ['RANGES', (one) => (one.partitions === 0 ? null : one.partitions)],
      ['OLDEST', (one) => time(one.oldest)],
      ['LAST AUTOVACUUM', (one) => time(one.lastAutovacuum)],
      ['BOUNDED BY', (one) => one.kept],
    ],
    'no tables',
  );
}

function renderRounds(policies: readonly RetentionPolicy[]): string {
  return renderTable(
    policies.filter(({ last }) => last !== null),
    [
      ['RETENTION', (one) => one.kind],
      ['LAST ROUND', (one) => time(one.last?.at ?? null)],
      ['WENT', (one) => one.last?.deleted],
      ['EVER', (one) => one.last?.deletedEver],
      ['TOOK', (one) => `${Math.round(one.last?.tookMs ?? 0)} ms`],
      ['FAILED', (one) => one.last?.error],
    ],
    'no round of retention yet',
  );
}

const KIB = 1_024;

function sizeOf(bytes: number): string {
  const mebibytes = bytes / KIB / KIB;
  return mebibytes < 1 ? `${Math.round(bytes / KIB)} KiB` : `${mebibytes.toFixed(1)} MiB`;
}

async function databaseUrl(options: Options): Promise<string> {
  const config = readConfig(process.env, { SIGNALBOX_DATA_DIR: options.dataDir });
  const url = config.databaseUrl ?? (await loadConnection(config.dataDir))?.databaseUrl;
  if (url !== undefined) return url;
  throw new UsageError(
    `no database is known: set DATABASE_URL, or start an instance (none runs in ${config.dataDir})`,
  );
}
