import { Command, Option } from 'commander';
import type { CreatedToken } from '../../auth/credentials.ts';
import { ROLES } from '../../auth/roles.ts';
import type { TokenSummary } from '../../store/tokens.ts';
import type { List } from '../api-client.ts';
import { renderTable, time } from '../output.ts';
import { remoteCommand, segment } from '../remote.ts';

/** `signalbox tokens create|list|revoke` */
export function tokensCommand(): Command {
  return new Command('tokens')
    .description('Tokens for people and programs')
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(revokeCommand());
}

function createCommand(): Command {
  const role = new Option('--role <role>', 'what it may do').choices([...ROLES]).default('viewer');
  return remoteCommand<{ role: string; environment?: string }>(
    'create <name>',
    'make a token; it is shown this once',
    async ({ api, options, print }, name = '') => {
      const { environment } = options;
      const created = await api.post<CreatedToken>('/tokens', {
        ...{ name, role: options.role },
        ...(environment === undefined ? {} : { environment }),
      });
      print(created, ({ token }) => token);
    },
    { environment: false },
  )
    .addOption(role)
    .option('--environment <name>', 'of role agent: agents with it work for this one alone');
}

function listCommand(): Command {
  return remoteCommand('list', 'all valid tokens, without the secrets', async ({ api, print }) => {
    const list = await api.get<List<TokenSummary>>('/tokens', { limit: 1_000 });
    print(list, ({ items }) =>
      renderTable(
        items,
        [
          ['NAME', (one) => one.name],
          ['ROLE', (one) => one.role],
          ['ENVIRONMENT', (one) => one.environment ?? ''],
          ['MADE BY', (one) => one.createdBy],
          ['MADE (UTC)', (one) => time(one.createdAt)],
          ['LAST USED (UTC)', (one) => time(one.lastUsedAt)],
        ],
        'no tokens',
      ),
    );
  });
}

function revokeCommand(): Command {
  return remoteCommand(
    'revoke <name>',
    'make a token invalid',
    async ({ api, print }, name = '') => {
      await api.post(`/tokens/${segment(name)}/revoke`);
      print({ revoked: name }, () => `revoked ${name}`);
    },
  );
}
