import { getCompletionScript, getShellFromEnv, log, logFiles, parseEnv } from '@pnpm/tabtab';
import { Argument, Command } from 'commander';
import { readConfig } from '../../config.ts';
import { type ApiClient, connectApi } from '../api-client.ts';
import { FILES, type NamesOf, propose } from '../completion.ts';

const SHELLS = ['bash', 'zsh', 'fish', 'pwsh'] as const;
/** A shell that waits for proposals is a shell that hangs. */
const NAMES_LIMIT_MS = 1_000;
const MOST_NAMES = 1_000;

/** `signalbox completion SHELL` */
export function completionCommand(): Command {
  return new Command('completion')
    .description('Print a script that completes commands in your shell')
    .addArgument(new Argument('<shell>', 'your shell').choices(SHELLS))
    .addHelpText(
      'after',
      '\n  source <(signalbox completion bash)   # or zsh; for good, in your shell’s rc file',
    )
    .action(async (shell: (typeof SHELLS)[number]) => {
      console.log(await getCompletionScript({ name: 'signalbox', completer: 'signalbox', shell }));
    });
}

/** What the script calls with each press of the key. */
export function completionServerCommand(program: () => Command): Command {
  return new Command('completion-server')
    .argument('[words...]')
    .allowUnknownOption()
    .action(async () => {
      const { partial, lastPartial } = parseEnv(process.env);
      const words = partial
        .split(/\s+/)
        .filter((word) => word !== '')
        .slice(1);
      if (lastPartial !== '') words.pop();
      const found = await propose(program(), words, lastPartial, namesOf);
      if (found === FILES) logFiles();
      else log([...found], getShellFromEnv(process.env));
    });
}

interface Listed {
  readonly items: readonly {
    readonly name?: string;
    readonly key?: string;
    readonly id?: string;
  }[];
}

/** The list that knows the names of an argument: its first command tells which. */
const LISTS: Readonly<Record<string, string>> = {
  workflows: '/workflows',
  backfill: '/workflows',
  assets: '/assets',
  pools: '/pools',
  queues: '/queues',
  runs: '/runs',
  tasks: '/runs',
  incidents: '/incidents',
  runbooks: '/runbooks',
  backtest: '/detectors',
  sensors: '/sensors',
};

const namesOf: NamesOf = async (_argument, [first = '']) => {
  const list = LISTS[first];
  if (list === undefined) return [];
  return Promise.race([
    readNames(list).catch(() => []),
    new Promise<[]>((resolve) => setTimeout(resolve, NAMES_LIMIT_MS, []).unref()),
  ]);
};

async function readNames(list: string): Promise<readonly string[]> {
  const api: ApiClient = await connectApi(readConfig(process.env));
  const { items } = await api.get<Listed>(list, { limit: MOST_NAMES });
  return items.flatMap(({ name, key, id }) => name ?? key ?? id ?? []);
}
