/** `signalbox artifacts list|show` */
import { Command } from 'commander';
import type { Artifact } from '../../../domain/artifact.ts';
import type { List } from '../api-client.ts';
import { printable, renderFields, renderTable, time } from '../output.ts';
import { remoteCommand, segment, wholeNumber } from '../remote.ts';

interface ListOptions {
  readonly run?: string;
  readonly key?: string;
  readonly kind?: string;
  readonly limit?: number;
}

export function artifactsCommand(): Command {
  return new Command('artifacts')
    .description('What tasks show people: reports, tables, links, pictures, progress')
    .addCommand(listCommand())
    .addCommand(
      remoteCommand(
        'show <id>',
        'One artifact with its content',
        async ({ api, print }, id = '') => {
          print(await api.get<Artifact>(`/artifacts/${segment(id)}`), renderArtifact);
        },
      ),
    );
}

function listCommand(): Command {
  return remoteCommand<ListOptions>(
    'list',
    'Artifacts, newest first; with --run those of a run, with --key the versions of one',
    async ({ api, options, print }) => {
      const { run, key, kind, limit = 20 } = options;
      const list =
        run === undefined
          ? await api.get<List<Artifact>>('/artifacts', { key, kind, limit })
          : await api.get<List<Artifact>>(`/runs/${segment(run)}/artifacts`);
      print(list, ({ items }) =>
        renderTable(
          items,
          [
            ['ID', (one) => one.id],
            ['KEY', (one) => printable(one.key)],
            ['VERSION', (one) => one.version],
            ['KIND', (one) => one.kind],
            ['TASK', (one) => printable(one.taskKey)],
            ['RUN', (one) => one.runId],
            ['UPDATED (UTC)', (one) => time(one.updatedAt)],
          ],
          'No artifacts. A task shows something with ctx.artifact.markdown(key, text).',
        ),
      );
    },
  )
    .option('--run <id>')
    .option('--key <key>')
    .option('--kind <kind>')
    .option('--limit <n>', 'at most so many, 20 unless told', wholeNumber);
}

function renderArtifact(artifact: Artifact): string {
  const fields = renderFields([
    ['key', artifact.key],
    ['title', artifact.title],
    ['kind', artifact.kind],
    ['version', artifact.version],
    ['run', artifact.runId],
    ['task', artifact.taskKey],
    ['bytes', artifact.bytes],
  ]);
  return `${fields}\n\n${contentOf(artifact)}`;
}

function contentOf({ id, value }: Artifact): string {
  if (value === null) return `GET /api/v1/artifacts/${id}/content has its content.`;
  const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2);
  return text.split('\n').map(printable).join('\n');
}
