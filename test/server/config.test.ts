import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigError, readConfig } from '../../server/config.ts';
import { envExample, SETTINGS } from '../../server/settings.ts';

const ROOT = join(import.meta.dirname, '..', '..');

function faultsOf(env: Record<string, string>): readonly string[] {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

describe('the configuration', () => {
  it('is documented in .env.example exactly as the table of settings has it', () => {
    expect(readFileSync(join(ROOT, '.env.example'), 'utf8')).toBe(envExample());
  });

  it('takes each default of the table as valid', () => {
    const env = Object.fromEntries(SETTINGS.map(({ name, fallback }) => [name, fallback]));
    expect(readConfig(env)).toEqual(readConfig({}));
  });

  it('reads what the environment says, options of the command line first', () => {
    const config = readConfig(
      {
        SIGNALBOX_PORT: '1234',
        SIGNALBOX_LEASE: 'PT1M',
        SIGNALBOX_WORKFLOWS: 'a, b',
        SIGNALBOX_WATCHED_POSTGRES: 'one=postgres://u:p@h:1/d,two=postgresql://v@i/e?x=y',
        CLICKHOUSE_URL: 'http://w:s%40cret@ch:8123/',
        SIGNALBOX_CLICKHOUSE_READER: 'r:pass:word',
        OTEL_EXPORTER_OTLP_HEADERS: 'a=b,c=d=e',
      },
      { SIGNALBOX_PORT: '0' },
    );
    expect(config).toMatchObject({
      port: 0,
      leaseMs: 60_000,
      workflows: [resolve('a'), resolve('b')],
      watchedPostgres: [
        { name: 'one', url: 'postgres://u:p@h:1/d' },
        { name: 'two', url: 'postgresql://v@i/e?x=y' },
      ],
      clickhouse: {
        url: 'http://ch:8123',
        writer: { user: 'w', password: 's@cret' },
        reader: { user: 'r', password: 'pass:word' },
      },
      telemetry: { headers: { a: 'b', c: 'd=e' } },
    });
  });

  it('tells every fault at once, each with what to do', () => {
    const faults = faultsOf({
      SIGNALBOX_PORT: '70000',
      SIGNALBOX_LEASE: 'soon',
      SIGNALBOX_LOG_LEVEL: 'loud',
      SIGNALBOX_PROT: '1',
      CLICKHOUSE_URL: 'ftp://x',
    });
    expect(faults).toHaveLength(5);
    expect(faults.join('\n')).toContain('SIGNALBOX_PORT: "70000" is not valid; give a port');
    expect(faults.join('\n')).toContain('SIGNALBOX_LEASE: "soon" is not valid; give a duration');
    expect(faults.join('\n')).toContain('SIGNALBOX_PROT is not a setting');
  });

  it('shows no secret in a fault', () => {
    const faults = faultsOf({ DATABASE_URL: 'mysql://root:hunter2@h/d' });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain('postgres://user:password@host');
    expect(faults[0]).not.toContain('hunter2');
  });
});
