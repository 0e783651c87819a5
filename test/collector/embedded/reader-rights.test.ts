import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeVault, type Vault } from './vault.ts';

let vault: Vault;

beforeAll(async () => {
  vault = await makeVault();
});

afterAll(() => vault.stop());

describe('reader and rights that it does not have', () => {
  it('reads no other database and no system table that tells of others', async () => {
    expect(
      await vault.succeed([
        'SELECT * FROM vault.secrets',
        'SELECT * FROM default.private',
        'SELECT * FROM `vault`.`secrets`',
        'SELECT (SELECT value FROM vault.secrets)',
        'SELECT 1 IN (SELECT value FROM vault.secrets)',
        'SELECT 1 IN vault.secrets',
        "SELECT * FROM merge('vault', '.*')",
        "SELECT * FROM merge(REGEXP('.*'), 'secrets')",
        "SELECT joinGet('vault.secrets', 'value', 1)",
        "SELECT dictGet('vault.secrets', 'value', 1)",
        "SELECT * FROM dictionary('vault.secrets')",
        'SELECT * FROM loop(vault.secrets)',
        "SELECT * FROM mergeTreeIndex('vault', 'secrets')",
        "SELECT * FROM mergeTreeProjection('vault', 'secrets', 'p')",
        'SELECT * FROM otel.spans JOIN vault.secrets ON 1 = 1',
        'DESCRIBE vault.secrets',
        'SHOW CREATE TABLE vault.secrets',
        'SHOW CREATE DATABASE vault',
        'SELECT * FROM system.processes',
        'SELECT * FROM system . processes',
        'SELECT * FROM `system`.`processes`',
        'SELECT * FROM "system.processes"',
        'SELECT * FROM system./* */processes',
        'SELECT p.query FROM system.processes AS p',
        'SELECT (SELECT any(query) FROM system.processes)',
        'SELECT 1 IN system.processes',
        'SELECT * FROM system.users',
        'SELECT * FROM system.roles',
        'SELECT * FROM system.grants',
        'SELECT * FROM system.current_roles',
        'SELECT * FROM system.parts',
        'SELECT * FROM system.disks',
        'SELECT * FROM system.server_settings',
        'SELECT * FROM system.named_collections',
        'SELECT * FROM system.dictionaries',
        'SELECT * FROM system.user_processes',
        'SELECT * FROM system.stack_trace',
        'SELECT * FROM system.errors',
        'SHOW PROCESSLIST',
        'SHOW GRANTS',
        'SHOW ACCESS',
        'SHOW USERS',
        'SHOW ROLES',
        'SHOW CREATE USER default',
        'SHOW CLUSTERS',
        'SHOW FILESYSTEM CACHES',
        'SELECT currentRoles()',
        'SELECT enabledRoles()',
        'SELECT defaultRoles()',
        "SELECT getMacro('x')",
        "SELECT getServerSetting('max_connections')",
        'USE system',
        'USE information_schema',
      ]),
    ).toEqual([]);
    expect(await vault.succeed(['SELECT * FROM private'], { database: 'default' })).toEqual([]);
    expect(await vault.succeed(['SELECT * FROM processes'], { database: 'system' })).toEqual([]);
    expect(
      await vault.succeed(['SELECT * FROM tables'], { database: 'INFORMATION_SCHEMA' }),
    ).toEqual([]);
  });

  it('changes no data, no schema, no server', async () => {
    expect(
      await vault.succeed([
        'DROP TABLE otel.spans',
        'DROP DATABASE otel',
        'TRUNCATE TABLE otel.spans',
        'CREATE TABLE otel.x (a UInt8) ENGINE = Memory',
        'CREATE TEMPORARY TABLE x (a UInt8)',
        'CREATE DATABASE x',
        'CREATE VIEW otel.x AS SELECT * FROM vault.secrets',
        'CREATE FUNCTION f AS x -> file(x)',
        "CREATE DICTIONARY otel.d (a UInt8) PRIMARY KEY a SOURCE(FILE(path '/etc/passwd' format 'CSV')) LAYOUT(FLAT()) LIFETIME(1)",
        "CREATE NAMED COLLECTION n AS a = 'b'",
        "CREATE USER u IDENTIFIED BY 'x'",
        'ALTER TABLE otel.spans DELETE WHERE 1',
        'ALTER TABLE otel.spans ADD COLUMN x UInt8',
        'DELETE FROM otel.spans WHERE 1',
        "UPDATE otel.spans SET name = 'x' WHERE 1",
        'RENAME TABLE otel.spans TO otel.other',
        'EXCHANGE TABLES otel.spans AND otel.other',
        'OPTIMIZE TABLE otel.spans FINAL',
        "INSERT INTO otel.spans VALUES (3, 'x')",
        "INSERT INTO otel.spans SELECT 3, 'x'",
        'INSERT INTO otel.spans FORMAT JSONEachRow {"id": 3}',
        "/* x */ INSERT INTO otel.spans VALUES (3, 'x')",
        "WITH 3 AS a INSERT INTO otel.spans SELECT a, 'x'",
        'DETACH TABLE otel.spans',
        'ATTACH TABLE otel.spans',
        'UNDROP TABLE otel.spans',
        'KILL QUERY WHERE 1',
        'KILL MUTATION WHERE 1',
        'SYSTEM SHUTDOWN',
        'SYSTEM FLUSH LOGS',
        'SYSTEM STOP MERGES',
        'SYSTEM DROP MARK CACHE',
        'CHECK TABLE otel.spans',
        'MOVE USER x TO y',
        'BEGIN TRANSACTION',
        'GRANT ALL ON *.* TO default',
        'REVOKE ALL ON *.* FROM default',
        'EXPLAIN AST DROP TABLE otel.spans',
      ]),
    ).toEqual([]);
  });

  it('takes on no other rights, by no statement, setting or second statement', async () => {
    expect(
      await vault.succeed([
        'SET ROLE ALL',
        'SET ROLE NONE',
        'SET ROLE DEFAULT',
        'SET ROLE ALL EXCEPT x',
        'SET DEFAULT ROLE ALL TO default',
        'EXECUTE AS default',
        'EXECUTE AS default SELECT 1',
        'SET readonly_ = 0',
        'SET allow_introspection_functions = 1',
        'SET allow_ddl = 1',
        'SELECT 1 SETTINGS allow_introspection_functions = 1',
        'SELECT 1 FROM (SELECT 1 SETTINGS max_threads = 1)',
        "SELECT (SELECT getSetting('max_memory_usage') SETTINGS max_memory_usage = 77777777777)",
        'SELECT 1 SETTINGS max_memory_usage = 77777777777 UNION ALL SELECT 2',
        'SELECT * FROM (SELECT 1 SETTINGS max_execution_time = 0) SETTINGS max_threads = 1',
        'SELECT * FROM (SELECT 1 SeTTings `max_execution_time` = 0)',
        'SELECT 1; SELECT 2',
        'SELECT 1; SET ROLE ALL',
        "SELECT 1;\nINSERT INTO otel.spans VALUES (3, 'x')",
        'SELECT 1; DROP TABLE otel.spans',
        'SELECT 1 FORMAT TSV; DROP TABLE otel.spans',
        "SELECT ';' ; DROP TABLE otel.spans",
        'SELECT 1 -- x\n; DROP TABLE otel.spans',
        'SELECT 1\0; DROP TABLE otel.spans',
        'PARALLEL WITH SELECT 1 PARALLEL WITH DROP TABLE otel.spans',
        '',
        ';',
        'nonsense',
      ]),
    ).toEqual([]);
    for (const setting of [
      'allow_introspection_functions',
      'max_memory_usage_for_user',
      'user_files_path',
      'format_schema',
      'format_schema_source',
      'output_format_schema',
      'additional_result_filter_',
      'storage_file_read_method',
      'readonly_',
      'profile',
      'implicit_select',
      'dialect',
    ]) {
      expect(await vault.succeed(['SELECT 1'], { [setting]: '1' })).toEqual([]);
    }
  });
});
