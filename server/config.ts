/**
 * The configuration: read once from the environment and the command line's options, validated together, so
 * that all faults are told at once, each with what to do. The result is frozen; nothing reads the
 * environment after this.
 */

import { resolve } from 'node:path';
import { Ajv, type ErrorObject } from 'ajv';
import { parseDuration } from '../domain/time.ts';
import { SETTINGS, type Setting, type SettingName } from './settings.ts';

export interface ClickHouseConfig {
  readonly url: string;
  readonly writer: { readonly user: string; readonly password: string };
  readonly reader: { readonly user: string; readonly password: string };
}

export interface Config {
  /** Absolute. */
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  readonly otlpPort: number;
  readonly clickhousePort: number;
  readonly url: string | null;
  readonly token: string | null;
  /** Absolute. */
  readonly workflows: readonly string[];
  readonly leaseMs: number;
  readonly webhooksTo: readonly string[];
  readonly watchedPostgres: readonly { readonly name: string; readonly url: string }[];
  readonly logLevel: string;
  readonly databaseUrl: string | null;
  readonly clickhouse: ClickHouseConfig | null;
  readonly resultStore: {
    /** Null for a folder in the data directory. */
    readonly url: string | null;
    readonly accessKeyId: string | null;
    readonly secretAccessKey: string | null;
    readonly sessionToken: string | null;
  };
  readonly telemetry: {
    readonly disabled: boolean;
    readonly endpoint: string | null;
    readonly headers: Readonly<Record<string, string>>;
  };
}

/** Every fault of a configuration, one a line. */
export class ConfigError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(`The configuration is not valid:\n${faults.map((fault) => `  ${fault}`).join('\n')}`);
    this.name = 'ConfigError';
    this.faults = faults;
  }
}

type Texts = Readonly<Record<SettingName, string>>;

const TEXTS = {
  type: 'object',
  properties: Object.fromEntries(
    SETTINGS.map(({ name, form }) => [name, { type: 'string', ...form }]),
  ),
};

const ajv = new Ajv({ allErrors: true, strict: false });
ajv.addFormat('duration', (text: string) => {
  try {
    return parseDuration(text) > 0;
  } catch {
    return false;
  }
});
ajv.addFormat('port', (text: string) => /^\d{1,5}$/.test(text) && Number(text) <= 65_535);
const validate = ajv.compile<Texts>(TEXTS);

/**
 * Reads and validates all settings.
 * @param env usually `process.env`
 * @param options texts of the command line by the setting's name; they win
 * @throws ConfigError with all faults
 */
export function readConfig(
  env: Readonly<Record<string, string | undefined>>,
  options: Partial<Readonly<Record<SettingName, string | undefined>>> = {},
): Config {
  const texts = Object.fromEntries(
    SETTINGS.map(({ name, fallback }) => [name, (options[name] ?? env[name])?.trim() || fallback]),
  );
  const faults = [...unknownSettings(env)];
  if (!validate(texts)) faults.push(...(validate.errors ?? []).map((error) => fault(error, texts)));
  if (faults.length > 0) throw new ConfigError([...new Set(faults)]);
  return Object.freeze(parse(texts as Texts));
}

/** Settings of the drills and tests, and what up hands to its parts, are not the user's. */
const NOT_SETTINGS = /^SIGNALBOX_(TEST_|CLICKHOUSE_(READER|WRITER)_PASSWORD$)/;

function unknownSettings(env: Readonly<Record<string, string | undefined>>): string[] {
  const known = new Set<string>(SETTINGS.map(({ name }) => name));
  return Object.keys(env)
    .filter((name) => name.startsWith('SIGNALBOX_') && !known.has(name) && !NOT_SETTINGS.test(name))
    .map(
      (name) => `${name} is not a setting: take it away, or see .env.example for the right name`,
    );
}

function fault(error: ErrorObject, texts: Readonly<Record<string, string>>): string {
  const name = error.instancePath.slice(1);
  const setting: Setting | undefined = SETTINGS.find((one) => one.name === name);
  const value = setting?.secret ? 'its value' : JSON.stringify(texts[name]);
  return `${name}: ${value} is not valid; ${setting?.advice ?? error.message}`;
}

function parse(texts: Texts): Config {
  return {
    dataDir: resolve(texts.SIGNALBOX_DATA_DIR),
    host: texts.SIGNALBOX_HOST,
    port: Number(texts.SIGNALBOX_PORT),
    otlpPort: Number(texts.SIGNALBOX_OTLP_PORT),
    clickhousePort: Number(texts.SIGNALBOX_CLICKHOUSE_PORT),
    url: texts.SIGNALBOX_URL.replace(/\/+$/, '') || null,
    token: texts.SIGNALBOX_TOKEN || null,
    workflows: list(texts.SIGNALBOX_WORKFLOWS).map((path) => resolve(path)),
    leaseMs: parseDuration(texts.SIGNALBOX_LEASE),
    webhooksTo: list(texts.SIGNALBOX_WEBHOOKS_TO),
    watchedPostgres: list(texts.SIGNALBOX_WATCHED_POSTGRES).map((entry) => {
      const [name, url] = halves(entry, '=');
      return { name, url };
    }),
    logLevel: texts.SIGNALBOX_LOG_LEVEL,
    databaseUrl: texts.DATABASE_URL || null,
    clickhouse: parseClickHouse(texts.CLICKHOUSE_URL, texts.SIGNALBOX_CLICKHOUSE_READER),
    resultStore: {
      url: texts.SIGNALBOX_RESULT_STORE || null,
      accessKeyId: texts.AWS_ACCESS_KEY_ID || null,
      secretAccessKey: texts.AWS_SECRET_ACCESS_KEY || null,
      sessionToken: texts.AWS_SESSION_TOKEN || null,
    },
    telemetry: {
      disabled: texts.OTEL_SDK_DISABLED === 'true',
      endpoint: texts.OTEL_EXPORTER_OTLP_ENDPOINT.replace(/\/+$/, '') || null,
      headers: Object.fromEntries(
        list(texts.OTEL_EXPORTER_OTLP_HEADERS).map((entry) => halves(entry, '=')),
      ),
    },
  };
}

function list(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function halves(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return [text.slice(0, at), text.slice(at + 1)];
}

function parseClickHouse(text: string, readerText: string): ClickHouseConfig | null {
  if (text === '') return null;
  const url = new URL(text);
  const writer = {
    user: decodeURIComponent(url.username) || 'default',
    password: decodeURIComponent(url.password),
  };
  url.username = '';
  url.password = '';
  const [user, password] = halves(readerText, ':');
  return {
    url: url.href.replace(/\/$/, ''),
    writer,
    reader: readerText === '' ? writer : { user, password },
  };
}
