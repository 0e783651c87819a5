/** `signalbox assets list|show|materialize|lineage` */
import { Command } from 'commander';
import type { Asset } from '../../../domain/asset.ts';
import type { LineageGraph } from '../../../orchestrator/service.ts';
import type { List } from '../api-client.ts';
import { printable, renderFields, renderTable, state, time } from '../output.ts';
import { remoteCommand, segment, wholeNumber } from '../remote.ts';
import { automationCommand } from './asset-automation.ts';
import { assetCheckCommands } from './asset-checks.ts';
import {
  dynamicPartitionsCommand,
  impactCommand,
  materializeCommand,
  partitionsCommand,
} from './asset-partitions.ts';

export function assetsCommand(): Command {
  const assets = new Command('assets')
    .description('Assets: how fresh they are, what they depend on')
    .addCommand(
      remoteCommand<{ limit?: number }>('list', 'All assets', async ({ api, options, print }) => {
        const list = await api.get<List<Asset>>('/assets', { limit: options.limit });
        print(list, ({ items }) => renderAssets(items));
      }).option('--limit <n>', 'at most so many', wholeNumber),
    )
    .addCommand(
      remoteCommand('show <key>', 'One asset', async ({ api, print }, key = '') => {
        print(await api.get<Asset>(`/assets/${segment(key)}`), renderAsset);
      }),
    )
    .addCommand(materializeCommand())
    .addCommand(
      remoteCommand<{ depth?: number }>(
        'lineage <key>',
        'What lies up and down',
        async (remote, key = '') => {
          const { depth = 2 } = remote.options;
          const graph = await remote.api.get<LineageGraph>(`/assets/${segment(key)}/lineage`, {
            depth,
          });
          remote.print(graph, () => renderLineage(graph, key));
        },
      ).option('--depth <n>', 'levels up and down, 2 unless told', wholeNumber),
    );
  assets
    .addCommand(partitionsCommand())
    .addCommand(impactCommand())
    .addCommand(dynamicPartitionsCommand())
    .addCommand(automationCommand());
  for (const command of assetCheckCommands()) assets.addCommand(command);
  return assets;
}

function renderAssets(items: readonly Asset[]): string {
  return renderTable(
    items,
    [
      ['ASSET', (asset) => asset.key],
      ['FRESHNESS', (asset) => state(asset.freshness)],
      ['DATA FROM (UTC)', (asset) => time(asset.lastMaterialization?.at ?? null)],
      ['FAILS AFTER', (asset) => asset.policy.failAfter],
      ['DEPENDS ON', (asset) => asset.dependsOn.length],
      ['AUTOMATION', automationWords],
    ],
    'No assets. They come from workflow files and from OpenLineage events.',
  );
}

/** What is held back says so in the list: since when, and why. */
function automationWords({ automation }: Asset): string | null {
  if (!automation) return null;
  const { state: word, heldSince, reason, paused, overdue } = automation;
  if (word === 'held' || word === 'error') {
    const since = `${state(overdue ? 'failed' : 'warning')} held back since ${time(heldSince)}`;
    return `${since}: ${printable(reason?.message ?? '').slice(0, 80)}`;
  }
  return paused ? 'paused' : word;
}

function renderAsset(asset: Asset): string {
  const fields = renderFields([
    ['asset', asset.key],
    ['freshness', state(asset.freshness)],
    ['data from', time(asset.lastMaterialization?.at ?? null)],
    ['provenance', provenanceOf(asset)],
    ['kept by', keptBy(asset)],
    ['checks', asset.checkState],
    ['policy', asset.policy],
    ['owners', asset.owners.join(', ')],
    ['depends on', asset.dependsOn.join(', ')],
    ['partitions', describePartitions(asset)],
    ['code version', asset.codeVersion],
    ['stale because', asset.staleCauses?.map(({ detail }) => detail).join('; ')],
    ['automation', automationWords(asset)],
    ['made by', asset.producedBy?.map(({ workflow, task }) => `${workflow} (${task})`).join(', ')],
  ]);
  if (asset.checks.length === 0) return fields;
  const checks = renderTable(
    asset.checks,
    [
      ['CHECK', (one) => one.name],
      ['PASSED', (one) => one.passed],
      ['SEVERITY', (one) => one.severity],
      ['BLOCKING', (one) => one.blocking],
      ['AT (UTC)', (one) => time(one.at)],
    ],
    '',
  );
  return `${fields}\n\n${checks}`;
}

function provenanceOf({ lastMaterialization }: Asset): string | null {
  if (lastMaterialization === null) return null;
  const { provenance, metadata } = lastMaterialization;
  return provenance === 'marked' ? `marked by ${metadata['markedBy']}` : provenance;
}

/** Where its newest version is, of an asset whose values an IO manager keeps. */
function keptBy({ lastMaterialization }: Asset): string | null {
  const stored = lastMaterialization?.stored ?? null;
  return stored && `${stored.kind} ${JSON.stringify(stored.location)}`;
}

/** Upstream above, downstream below, indented by distance. */
function renderLineage(graph: LineageGraph, key: string): string {
  return [...graph.nodes]
    .sort((a, b) => a.depth - b.depth || (a.key < b.key ? -1 : 1))
    .map((node) => {
      const mark = node.key === key ? '▶ ' : '  ';
      const least = Math.min(...graph.nodes.map(({ depth }) => depth));
      return `${'   '.repeat(node.depth - least)}${mark}${printable(node.key)}  ${state(node.freshness)}`;
    })
    .join('\n');
}

function describePartitions({ partitions }: Asset): string | null {
  if (!partitions) return null;
  const { total, materialized, missing, failed } = partitions.totals;
  return `${total}: ${materialized} materialized, ${missing} missing, ${failed} failed`;
}
