/** Commands that speak with a server: the options they share, and how they report. */
import { Command, InvalidArgumentError } from 'commander';
import { readConfig } from '../config.ts';
import { type ApiClient, connectApi } from './api-client.ts';

interface RemoteOptions {
  readonly url?: string;
  readonly token?: string;
  readonly dataDir?: string;
  readonly json?: boolean;
  readonly environment?: string;
}

/** What a command's action is given. */
export interface Remote<Options> {
  readonly api: ApiClient;
  readonly options: Options & RemoteOptions;
  /** Prints the value as JSON with `--json`, else what `render` makes of it. */
  print<T>(value: T, render: (value: T) => string): void;
}

/**
 * A command with the shared options.
 * @param usage as commander writes it: `show <id>`
 * @param run gets the arguments in order
 * @param of `environment`: false for a command that has nothing to do with environments of branches
 */
export function remoteCommand<Options extends object = object>(
  usage: string,
  description: string,
  run: (remote: Remote<Options>, ...args: string[]) => Promise<void>,
  of: { readonly environment?: boolean } = {},
): Command {
  const command = new Command(usage.split(' ')[0] ?? usage)
    .description(description)
    .option('--url <url>', 'server to speak to (SIGNALBOX_URL; else the instance running here)')
    .option('--token <token>', 'access token (SIGNALBOX_TOKEN is safer: options show in `ps`)')
    .option('--data-dir <dir>', 'data directory of the instance running here')
    .option('--json', 'print JSON');
  if (of.environment !== false) {
    command.option('--environment <name>', 'environment of a branch; production unless told');
  }
  for (const argument of usage.split(' ').slice(1)) command.argument(argument);
  return command.action(async (...all: unknown[]) => {
    const options = command.opts<Options & RemoteOptions>();
    const args = all.slice(0, -2) as string[];
    const config = readConfig(process.env, {
      SIGNALBOX_URL: options.url,
      SIGNALBOX_TOKEN: options.token,
      SIGNALBOX_DATA_DIR: options.dataDir,
    });
    const print = <T>(value: T, render: (value: T) => string) => {
      console.log(options.json ? JSON.stringify(value) : render(value));
    };
    const environment = of.environment === false ? undefined : options.environment;
    await run({ api: await connectApi(config, environment), options, print }, ...args);
  });
}

/** A part of a path: ids and keys may hold slashes. */
export function segment(text: string): string {
  return encodeURIComponent(text);
}

/**
 * A commander parser for a whole number.
 * @throws Error that commander reports as wrong usage
 */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError('give a whole number');
  }
  return value;
}

/**
 * A commander parser for a whole number that may be below zero.
 * @throws Error that commander reports as wrong usage
 */
export function signedNumber(text: string): number {
  if (/^-?\d+$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  throw new InvalidArgumentError('give a whole number, such as -10');
}
