/**
 * Who may do what, told to the engine itself. The engine in process has one user; so rights hang on
 * two roles, and each connection takes on exactly one of them before it sees a client's text. Their
 * names are random for each start: a text that somehow got to `SET ROLE` would have to guess.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The users of the HTTP port. */
export type User = 'reader' | 'writer';

/** Databases that `reader` may read in full. */
const READER_DATABASES = ['otel', 'signalbox'] as const;

/** System tables that `reader` may read: what clients ask for to describe data to their users. */
export const READER_SYSTEM_TABLES = [
  'aggregate_function_combinators',
  'build_options',
  'collations',
  'columns',
  'contributors',
  'data_type_families',
  'databases',
  'formats',
  'functions',
  'keywords',
  'numbers',
  'numbers_mt',
  'one',
  'settings',
  'table_engines',
  'tables',
  'time_zones',
  'zeros',
  'zeros_mt',
] as const;

/** The engine's names of the two roles. */
export type Roles = Readonly<Record<User, string>>;

/** All on data. Nothing that runs programs or reads elsewhere: no dictionaries, functions, sources, users. */
const WRITER_RIGHTS = [
  'SELECT, INSERT, ALTER, TRUNCATE, OPTIMIZE, SHOW, CHECK, KILL QUERY, SYSTEM',
  'CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP DATABASE, DROP TABLE, DROP VIEW, UNDROP TABLE',
].join(', ');

/** Makes the role names of this start. */
export function makeRoles(): Roles {
  const suffix = randomBytes(16).toString('hex');
  return { reader: `reader_${suffix}`, writer: `writer_${suffix}` };
}

/**
 * Writes the engine's configuration into `directory` and gives the file's path.
 * The engine reads it once, when the first connection is opened.
 */
export function writeEngineConfig(directory: string, roles: Roles): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, 'engine.xml');
  writeFileSync(file, engineConfig(directory, file, roles), { mode: 0o600 });
  return file;
}

function engineConfig(directory: string, file: string, roles: Roles): string {
  const readerGrants = [
    // Clients name this database when they connect; reader sees it, and nothing in it.
    'GRANT SHOW DATABASES ON default.*',
    ...READER_DATABASES.map((name) => `GRANT SELECT, SHOW ON ${name}.*`),
    ...READER_SYSTEM_TABLES.map((name) => `GRANT SELECT ON system.${name}`),
  ];
  const writerGrants = [
    `GRANT ${WRITER_RIGHTS} ON *.*`,
    'GRANT CREATE TEMPORARY TABLE ON *.*',
    'GRANT TABLE ENGINE ON *',
  ];
  const filesPath = join(directory, 'no-files');
  return `<clickhouse>
  <display_name>signalbox</display_name>
  <max_server_memory_usage_to_ram_ratio>0.5</max_server_memory_usage_to_ram_ratio>
  <users_config>${xml(file)}</users_config>
  <user_files_path>${xml(filesPath)}/</user_files_path>
  <user_scripts_path>${xml(filesPath)}/</user_scripts_path>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <roles>
    <${roles.reader}>${grants(readerGrants)}</${roles.reader}>
    <${roles.writer}>${grants(writerGrants)}</${roles.writer}>
  </roles>
  <users>
    <default>
      <password></password>
      <networks><ip>::1</ip><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      ${grants([`GRANT ${roles.reader}, ${roles.writer}`])}
    </default>
  </users>
</clickhouse>
`;
}

function grants(statements: readonly string[]): string {
  return `<grants>${statements.map((text) => `<query>${text}</query>`).join('')}</grants>`;
}

function xml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
