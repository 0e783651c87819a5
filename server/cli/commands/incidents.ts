/** `signalbox incidents list|show|ack|resolve` and `signalbox backtest` */
import { Command } from 'commander';
import type { Finding } from '../../../domain/finding.ts';
import type { Incident } from '../../../domain/incident.ts';
import type { List } from '../api-client.ts';
import { printable, renderFields, renderTable, span, state, time } from '../output.ts';
import { remoteCommand, segment, wholeNumber } from '../remote.ts';

interface ListOptions {
  readonly status?: string;
  readonly kind?: string;
  readonly limit?: number;
}

export function incidentsCommand(): Command {
  return new Command('incidents')
    .description('Incidents: what went wrong, why, and what was done')
    .addCommand(listCommand())
    .addCommand(
      remoteCommand(
        'show <id>',
        'One incident with its timeline',
        async ({ api, print }, id = '') => {
          print(await api.get<Incident>(`/incidents/${segment(id)}`), renderIncident);
        },
      ),
    )
    .addCommand(
      remoteCommand('ack <id>', 'Say that you look at it', async ({ api, print }, id = '') => {
        print(await api.post<Incident>(`/incidents/${segment(id)}/acknowledge`), renderStatus);
      }),
    )
    .addCommand(
      remoteCommand<{ reason: string }>(
        'resolve <id>',
        'Resolve it by hand',
        async (remote, id = '') => {
          const { reason } = remote.options;
          const incident = await remote.api.post<Incident>(`/incidents/${segment(id)}/resolve`, {
            reason,
          });
          remote.print(incident, renderStatus);
        },
      ).requiredOption('--reason <text>', 'why it is over, for the record'),
    );
}

function listCommand(): Command {
  return remoteCommand<ListOptions>(
    'list',
    'Incidents, newest first',
    async ({ api, options, print }) => {
      const { status, kind, limit = 20 } = options;
      print(await api.get<List<Incident>>('/incidents', { status, kind, limit }), ({ items }) =>
        renderTable(
          items,
          [
            ['#', (incident) => incident.number],
            ['STATUS', (incident) => state(incident.status)],
            ['SEVERITY', (incident) => state(incident.severity)],
            ['WHAT', (incident) => incident.title],
            ['DETECTED (UTC)', (incident) => time(incident.detectedAt)],
            ['ID', (incident) => incident.id],
          ],
          'No such incidents.',
        ),
      );
    },
  )
    .option('--status <status>')
    .option('--kind <kind>')
    .option('--limit <n>', 'at most so many, 20 unless told', wholeNumber);
}

function renderStatus(incident: Incident): string {
  return `#${incident.number} is ${state(incident.status)}.`;
}

function renderIncident(incident: Incident): string {
  const { evidenceAt, detectedAt, mitigatedAt, resolvedAt } = incident;
  const fields = renderFields([
    ['incident', `#${incident.number}  ${incident.id}`],
    ['status', state(incident.status)],
    ['severity', state(incident.severity)],
    ['root cause', incident.rootCause],
    ['diagnosis', incident.diagnosis],
    ['affected', incident.affected.length],
    ['detected', `${time(detectedAt)}, ${span(evidenceAt, detectedAt)} after the first evidence`],
    ['mitigated', mitigatedAt && `after ${span(evidenceAt, mitigatedAt)}`],
    ['resolved', resolvedAt && `after ${span(evidenceAt, resolvedAt)}`],
  ]);
  const timeline = renderTable(
    incident.timeline,
    [
      ['AT (UTC)', (event) => time(event.at)],
      ['WHAT', (event) => event.type],
      ['REASON', (event) => event.reason],
      ['WHO', (event) => event.actor],
    ],
    'Nothing happened yet',
  );
  return `${printable(incident.title)}\n\n${fields}\n\n${timeline}`;
}

/** Every moment of a long time is looked at one after the other. */
const BACKTEST_MS = 290_000;

export function backtestCommand(): Command {
  type Options = { from: string; to: string; step?: string };
  return remoteCommand<Options>(
    'backtest <detector>',
    'Run a detector over recorded telemetry',
    async ({ api, options, print }, detector = '') => {
      const { from, to, step } = options;
      const result = await api.post<{ findings: readonly (Finding & { at: string })[] }>(
        `/detectors/${segment(detector)}/backtest`,
        { from, to, ...(step === undefined ? {} : { step }) },
        BACKTEST_MS,
      );
      print(result, ({ findings }) =>
        renderTable(
          findings,
          [
            ['AT (UTC)', (finding) => time(finding.at)],
            ['KIND', (finding) => finding.kind],
            ['SUBJECTS', (finding) => finding.subjects.map(({ id }) => id).join(', ')],
            ['FINGERPRINT', (finding) => finding.fingerprint],
          ],
          'It would not have fired.',
        ),
      );
    },
  )
    .requiredOption('--from <time>', 'RFC 3339')
    .requiredOption('--to <time>', 'RFC 3339')
    .option('--step <duration>', 'how often it looks, such as 1s');
}
