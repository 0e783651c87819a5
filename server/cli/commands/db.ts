import { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { migrate, migrationStates } from '../../migrate.ts';
import { loadConnection } from '../../supervise/data-dir.ts';
import { ExitWith, UsageError } from '../exit.ts';
import { renderTable } from '../output.ts';

interface Options {
  readonly dataDir?: string;
  readonly json?: boolean;
}

/** `signalbox db migrate|status` */
export function dbCommand(): Command {
  return new Command('db')
    .description('the schema of the PostgreSQL database')
    .addCommand(
      databaseCommand('migrate', 'bring the schema up to date; harmless when repeated').action(
        runMigrate,
      ),
    )
    .addCommand(
      databaseCommand(
        'status',
        'which migrations are applied; exit code 1 where some are not',
      ).action(runStatus),
    );
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
  const migrations = await migrationStates(await databaseUrl(options));
  const text = renderTable(
    migrations,
    [
      ['MODULE', (one) => one.module],
      ['MIGRATION', (one) => one.name],
      ['STATE', (one) => one.state],
    ],
    'no migrations',
  );
  console.log(options.json ? JSON.stringify({ migrations }) : text);
  if (migrations.some(({ state }) => state !== 'applied')) throw new ExitWith(1);
}

async function databaseUrl(options: Options): Promise<string> {
  const config = readConfig(process.env, { SIGNALBOX_DATA_DIR: options.dataDir });
  const url = config.databaseUrl ?? (await loadConnection(config.dataDir))?.databaseUrl;
  if (url !== undefined) return url;
  throw new UsageError(
    `no database is known: set DATABASE_URL, or start an instance (none runs in ${config.dataDir})`,
  );
}
