/** `signalbox db retention` and `db retention set` */
import type { Command } from 'commander';
import type { RetentionReply } from '../../routes/retention.ts';
import type { List } from '../api-client.ts';
import { UsageError } from '../exit.ts';
import { renderTable, time } from '../output.ts';
import { remoteCommand } from '../remote.ts';

export function retentionCommand(): Command {
  return remoteCommand(
    'retention',
    'what is kept for how long, and what went last',
    async ({ api, print }) => {
      print(await api.get<List<RetentionReply>>('/retention', { limit: 1_000 }), render);
    },
  ).addCommand(
    remoteCommand(
      'set <kind> <duration>',
      'keep a kind for a time such as 90d, or forever',
      async ({ api, print }, kind = '', keep = '') => {
        if (keep === '') throw new UsageError('Say how long: signalbox db retention set runs 90d');
        const all = await api.put<List<RetentionReply>>('/retention', { keep: { [kind]: keep } });
        print(all, ({ items }) => render({ items: items.filter((one) => one.kind === kind) }));
      },
    ),
  );
}

function render({ items }: Pick<List<RetentionReply>, 'items'>): string {
  return renderTable(
    items,
    [
      ['KIND', (one) => one.kind],
      ['KEPT', (one) => one.keep],
      ['DEFAULT', (one) => one.default],
      ['SET BY', (one) => one.setBy],
      ['LAST ROUND', (one) => time(one.last?.at ?? null)],
      ['WENT', (one) => (one.last === null ? null : one.last.deletedEver)],
      ['WHAT', (one) => (one.last?.error ? `failed: ${one.last.error}` : one.what)],
    ],
    'nothing',
  );
}
