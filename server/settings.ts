/**
 * The table of all settings. Everything that is told about a setting (`.env.example`, the configuration's
 * faults, the documentation) comes from here; nothing else reads the environment.
 */

/** One setting, as the environment gives it: always text. */
export interface Setting {
  readonly name: string;
  /** Text that stands for 'not set'; empty where there is no default. */
  readonly fallback: string;
  readonly meaning: string;
  /** JSON Schema keywords for the text. */
  readonly form: Readonly<Record<string, unknown>>;
  /** What to do about a text that is not valid. */
  readonly advice: string;
  /** Carries a secret: never shown. */
  readonly secret?: true;
}

const DURATION = {
  form: { format: 'duration' },
  advice: 'give a duration such as "500ms", "30s", "5m" or "PT1H"',
} as const;
const PORT = {
  form: { format: 'port' },
  advice: 'give a port from 0 to 65535; 0 picks a free one',
} as const;
const POSTGRES_URL = {
  form: { pattern: '^$|^postgres(ql)?://[^\\s]+$' },
  advice: 'give a URL such as postgres://user:password@host:5432/database',
  secret: true,
} as const;
const HTTP_URL = {
  form: { pattern: '^$|^https?://[^\\s]+$' },
  advice: 'give a URL that begins with http:// or https://',
} as const;
const TEXT = { form: {}, advice: 'give a text' } as const;

export const SETTINGS = [
  {
    name: 'SIGNALBOX_DATA_DIR',
    fallback: '.signalbox',
    meaning: 'Directory of everything that is kept on this machine.',
    form: { minLength: 1 },
    advice: 'give the path of a directory',
  },
  {
    name: 'SIGNALBOX_HOST',
    fallback: '127.0.0.1',
    meaning: 'Address to listen on; 0.0.0.0 for all.',
    form: { minLength: 1, pattern: '^[A-Za-z0-9.:_-]+$' },
    advice: 'give an address or a host name',
  },
  { name: 'SIGNALBOX_PORT', fallback: '4400', meaning: 'Port of API and console.', ...PORT },
  { name: 'SIGNALBOX_OTLP_PORT', fallback: '4318', meaning: 'Port of OTLP over HTTP.', ...PORT },
  {
    name: 'SIGNALBOX_CLICKHOUSE_PORT',
    fallback: '8123',
    meaning: 'Port of the embedded ClickHouse.',
    ...PORT,
  },
  {
    name: 'SIGNALBOX_URL',
    fallback: '',
    meaning:
      'Server that the command line and an agent speak to; found in the data directory otherwise.',
    ...HTTP_URL,
  },
  {
    name: 'SIGNALBOX_TOKEN',
    fallback: '',
    meaning: 'Token of the command line and of an agent.',
    form: {},
    advice: 'give a token that `signalbox tokens create` made',
    secret: true,
  },
  {
    name: 'SIGNALBOX_WORKFLOWS',
    fallback: '',
    meaning: 'Directories with workflow files, separated by commas.',
    ...TEXT,
  },
  {
    name: 'SIGNALBOX_LEASE',
    fallback: '30s',
    meaning: 'How long an agent may be silent before its tasks are handed to another.',
    ...DURATION,
  },
  {
    name: 'SIGNALBOX_WEBHOOKS_TO',
    fallback: '',
    meaning:
      'Addresses that webhooks of workflows may be sent to, separated by commas: each with what lies below it; none where this is empty.',
    form: { pattern: '^$|^https?://[^\\s,]+(,https?://[^\\s,]+)*$' },
    advice: 'give URLs such as https://hooks.example.com/, several separated by commas',
    secret: true,
  },
  {
    name: 'SIGNALBOX_WATCHED_POSTGRES',
    fallback: '',
    meaning: 'PostgreSQL servers whose connections are watched: name=url,name=url.',
    form: {
      pattern: '^$|^[\\w.-]+=postgres(ql)?://[^\\s,]+(,[\\w.-]+=postgres(ql)?://[^\\s,]+)*$',
    },
    advice: 'give name=postgres://user:password@host:5432/database, several separated by commas',
    secret: true,
  },
  {
    name: 'SIGNALBOX_LOG_LEVEL',
    fallback: 'info',
    meaning: 'Least level that is logged.',
    form: { enum: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] },
    advice: 'give trace, debug, info, warn, error, fatal or silent',
  },
  {
    name: 'DATABASE_URL',
    fallback: '',
    meaning: 'PostgreSQL 15 or later; `signalbox up` brings its own where this is empty.',
    ...POSTGRES_URL,
  },
  {
    name: 'CLICKHOUSE_URL',
    fallback: '',
    meaning:
      'ClickHouse with the credentials of who writes; `signalbox up` brings its own where this is empty.',
    ...HTTP_URL,
    secret: true,
  },
  {
    name: 'SIGNALBOX_CLICKHOUSE_READER',
    fallback: '',
    meaning:
      'user:password of who can only read in ClickHouse; where this is empty the writer, kept to reading.',
    form: { pattern: '^$|^[^:\\s]+:[^\\s]*$' },
    advice: 'give user:password',
    secret: true,
  },
  {
    name: 'SIGNALBOX_RESULT_STORE',
    fallback: '',
    meaning:
      'Where results of more than 256 KiB lie: file:///folder, or s3://bucket/prefix?endpoint=https://host&region=name; a folder in the data directory where this is empty. An agent that has it too goes there by itself, the others go through the server.',
    form: { pattern: '^$|^(file:///|s3://[a-z0-9.-]+)[^\\s]*$' },
    advice: 'give file:///folder, or s3://bucket/prefix?endpoint=https://host&region=name',
  },
  {
    name: 'AWS_ACCESS_KEY_ID',
    fallback: '',
    meaning: 'Credentials of an S3-compatible result store.',
    ...TEXT,
    secret: true,
  },
  {
    name: 'AWS_SECRET_ACCESS_KEY',
    fallback: '',
    meaning: 'Secret of these credentials.',
    ...TEXT,
    secret: true,
  },
  {
    name: 'AWS_SESSION_TOKEN',
    fallback: '',
    meaning: 'Session of these credentials, where they have one.',
    ...TEXT,
    secret: true,
  },
  {
    name: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    fallback: '',
    meaning: 'Where the product sends its own telemetry; its own receiver where this is empty.',
    ...HTTP_URL,
  },
  {
    name: 'OTEL_EXPORTER_OTLP_HEADERS',
    fallback: '',
    meaning: 'Headers for that, as name=value,name=value.',
    form: { pattern: '^$|^[^=,]+=[^,]*(,[^=,]+=[^,]*)*$' },
    advice: 'give name=value, several separated by commas',
    secret: true,
  },
  {
    name: 'OTEL_SDK_DISABLED',
    fallback: 'false',
    meaning: 'true turns the product’s own telemetry off.',
    form: { enum: ['true', 'false'] },
    advice: 'give true or false',
  },
] as const satisfies readonly Setting[];

export type SettingName = (typeof SETTINGS)[number]['name'];

/** The text of `.env.example`. */
export function envExample(): string {
  const entries = SETTINGS.map(
    ({ name, fallback, meaning }) => `# ${meaning}\n#${name}=${fallback}\n`,
  );
  return `# All settings, with their defaults. Options of the command line take precedence.\n\n${entries.join('\n')}`;
}
