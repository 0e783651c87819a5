import { setTimeout as delay } from 'node:timers/promises';
import { Command, InvalidArgumentError } from 'commander';
import type {
  DefinitionDiff,
  Environment,
  EnvironmentDiff,
  EnvironmentSettings,
} from '../../../domain/environment.ts';
import { type ApiClient, isProblem, type List } from '../api-client.ts';
import { printable, renderFields, renderTable, time } from '../output.ts';
import { type Remote, remoteCommand, segment } from '../remote.ts';

/** `signalbox environments list|show|create|delete|diff` */
export function environmentsCommand(): Command {
  return new Command('environments')
    .description('environments of branches, apart from production')
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(createCommand())
    .addCommand(diffCommand())
    .addCommand(deleteCommand());
}

const NO_ENVIRONMENT = { environment: false } as const;

function listCommand(): Command {
  const run = async ({ api, print }: Remote<object>) => {
    const list = await api.get<List<Environment>>('/environments', { limit: 1_000 });
    print(list, ({ items }) =>
      renderTable(
        items,
        [
          ['NAME', ({ name, state }) => (state === 'active' ? name : `${name} (${state})`)],
          ['WORKFLOWS', ({ workflows }) => String(workflows)],
          ['ASSETS', ({ assets }) => String(assets)],
          ['AGENTS', ({ agents }) => String(agents)],
          ['RUNNING', ({ activeRuns }) => String(activeRuns)],
          ['MADE BY', ({ createdBy }) => createdBy],
          ['EXPIRES (UTC)', ({ expiresAt }) => time(expiresAt)],
          ['LABELS', ({ labels }) => labelsOf(labels)],
        ],
        'no environments: signalbox environments create pr-123 makes one',
      ),
    );
  };
  return remoteCommand('list', 'all environments', run, NO_ENVIRONMENT);
}

function labelsOf(labels: Environment['labels']): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

function showCommand(): Command {
  return remoteCommand(
    'show <name>',
    'one environment',
    async ({ api, print }, name = '') => {
      print(await api.get<Environment>(`/environments/${segment(name)}`), described);
    },
    NO_ENVIRONMENT,
  );
}

function described(environment: Environment): string {
  const { name, state, createdBy, createdAt, lastSeenAt, expiresAt, settings } = environment;
  const on = Object.entries(settings).map(
    ([setting, value]) => `${setting} ${value ? 'on' : 'off'}`,
  );
  const { workflows, assets, agents, activeRuns, labels } = environment;
  const expires =
    expiresAt === null ? 'never expires' : `expires ${time(expiresAt)} unless an agent registers`;
  const fields = renderFields([
    [
      'has',
      `${workflows} workflows, ${assets} assets, ${agents} agents, ${activeRuns} unfinished runs`,
    ],
    ['seen', `${time(lastSeenAt)}; ${expires}`],
    ['settings', on.join(', ')],
    ...(Object.keys(labels).length === 0 ? [] : [['labels', labelsOf(labels)] as const]),
  ]);
  return `${name}  ${state}, made by ${createdBy} ${time(createdAt)}\n${fields}`;
}

interface CreateOptions {
  readonly expires?: string;
  readonly label: Readonly<Record<string, string>>;
  readonly schedules?: boolean;
  readonly triggers?: boolean;
  readonly sensors?: boolean;
  readonly callbacks?: boolean;
  readonly fallback: boolean;
  readonly sharedPools?: boolean;
}

function createCommand(): Command {
  return remoteCommand<CreateOptions>(
    'create <name>',
    'make an environment, or change what is given of one that is there',
    async ({ api, options, print }, name = '') => {
      const made = await api.post<Environment>('/environments', {
        ...{ name, labels: options.label, settings: settingsOf(options) },
        ...(options.expires === undefined
          ? {}
          : { expiresAfter: options.expires === 'never' ? null : options.expires }),
      });
      print(made, described);
    },
    NO_ENVIRONMENT,
  )
    .option('--expires <duration>', 'deleted so long after an agent was there, or never (14d)')
    .option('--label <name=value...>', 'free words, such as ref=feature/x url=https://…', label, {})
    .option('--schedules', 'schedules run by themselves')
    .option('--triggers', 'workflows with `on`, and automation of assets, run by themselves')
    .option('--sensors', 'sensors look by themselves')
    .option('--callbacks', 'callbacks are called, of code and of addresses')
    .option('--no-fallback', 'nothing is read from production')
    .option('--shared-pools', 'tasks take slots of production’s pools');
}

function settingsOf(options: CreateOptions): Partial<EnvironmentSettings> {
  const { schedules, triggers, sensors, callbacks, sharedPools } = options;
  return {
    ...(schedules ? { schedules } : {}),
    ...(triggers ? { triggers } : {}),
    ...(sensors ? { sensors } : {}),
    ...(callbacks ? { callbacks } : {}),
    ...(options.fallback ? {} : { fallback: false }),
    ...(sharedPools ? { sharedPools } : {}),
  };
}

function label(text: string, before: Readonly<Record<string, string>>) {
  const at = text.indexOf('=');
  if (at > 0) return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
  throw new InvalidArgumentError('Give NAME=VALUE, such as ref=feature/x.');
}

function diffCommand(): Command {
  return remoteCommand(
    'diff <name>',
    'what a branch defines beside production, and which assets lie below',
    async ({ api, print }, name = '') => {
      print(await api.get<EnvironmentDiff>(`/environments/${segment(name)}/diff`), renderDiff);
    },
    NO_ENVIRONMENT,
  );
}

const SIGNS = { added: '+', removed: '-', changed: '~' } as const;

function renderDiff({ definitions, unchanged, affected }: EnvironmentDiff): string {
  const lines = definitions.map(
    (one) => `${SIGNS[one.change]} ${one.kind} ${one.name}${detailOf(one)}`,
  );
  const below = affected.map(({ key, critical, owners, below: of }) => {
    const who = owners.length === 0 ? '' : `, owned by ${owners.join(', ')}`;
    return `  ${key}${critical ? ' (critical)' : ''}${who}, below ${of.join(', ')}`;
  });
  return [
    ...(lines.length === 0 ? ['no definition differs from production'] : lines),
    `${unchanged} unchanged`,
    ...(below.length === 0 ? [] : ['', 'assets of production that lie below:', ...below]),
  ]
    .map(printable)
    .join('\n');
}

function detailOf({ what, schedule }: DefinitionDiff): string {
  const words = what.filter((one) => one !== 'schedule');
  const moved = schedule
    ? [`schedule ${schedule.before ?? 'none'} → ${schedule.after ?? 'none'}`]
    : [];
  const all = [...moved, ...words];
  return all.length === 0 ? '' : `: ${all.join('; ')}`;
}

function deleteCommand(): Command {
  return remoteCommand<{ wait: boolean }>(
    'delete <name>',
    'cancel what runs in an environment, and delete all of it',
    async ({ api, options, print }, name = '') => {
      const deleted = await api.delete<Environment>(`/environments/${segment(name)}`);
      if (options.wait) await untilGone(api, deleted);
      print({ deleted: name, done: options.wait }, () =>
        options.wait ? `deleted ${name}` : `${name} is being deleted`,
      );
    },
    NO_ENVIRONMENT,
  ).option('--no-wait', 'do not wait until all of it is gone');
}

const LOOK_EVERY_MS = 500;
const LIMIT_MS = 120_000;

/** One of the same name may be made as soon as it is gone. */
async function untilGone(api: ApiClient, { name, createdAt }: Environment): Promise<void> {
  const until = performance.now() + LIMIT_MS;
  while (performance.now() < until) {
    try {
      const found = await api.get<Environment>(`/environments/${segment(name)}`);
      if (found.createdAt !== createdAt) return;
    } catch (error) {
      if (isProblem(error, 'not-found')) return;
      throw error;
    }
    await delay(LOOK_EVERY_MS);
  }
  throw new Error(`${name} is still being deleted: signalbox environments show ${name} tells more`);
}
