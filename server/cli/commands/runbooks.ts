/** `signalbox runbooks list|plan|run|approve|reject` */
import { Command } from 'commander';
import type { Execution, Plan } from '../../../domain/runbook.ts';
import type { RunbookSummary } from '../../../incidents/service.ts';
import type { List } from '../api-client.ts';
import { printable, renderFields, renderTable } from '../output.ts';
import { remoteCommand, segment } from '../remote.ts';

interface ForIncident {
  readonly incident: string;
}

export function runbooksCommand(): Command {
  return new Command('runbooks')
    .description('Runbooks: remedies that plan, act within limits, verify and undo')
    .addCommand(
      remoteCommand('list', 'All runbooks', async ({ api, print }) => {
        print(await api.get<List<RunbookSummary>>('/runbooks'), ({ items }) =>
          renderRunbooks(items),
        );
      }),
    )
    .addCommand(
      remoteCommand<ForIncident>(
        'plan <id>',
        'What it would do; changes nothing',
        async (remote, id = '') => {
          const body = { incidentId: remote.options.incident };
          remote.print(
            await remote.api.post<Plan>(`/runbooks/${segment(id)}/plan`, body),
            renderPlan,
          );
        },
      ).requiredOption('--incident <id>', 'the incident to remedy'),
    )
    .addCommand(
      remoteCommand<ForIncident>(
        'run <id>',
        'Execute it for an incident',
        async (remote, id = '') => {
          const body = { incidentId: remote.options.incident };
          const path = `/runbooks/${segment(id)}/executions`;
          remote.print(await remote.api.post<Execution>(path, body), renderExecution);
        },
      ).requiredOption('--incident <id>', 'the incident to remedy'),
    )
    .addCommand(
      remoteCommand('approve <execution>', 'Let it act', async ({ api, print }, id = '') => {
        print(await api.post<Execution>(`/executions/${segment(id)}/approve`), renderExecution);
      }),
    )
    .addCommand(
      remoteCommand<{ reason: string }>(
        'reject <execution>',
        'Do not let it act',
        async (remote, id = '') => {
          const { reason } = remote.options;
          const path = `/executions/${segment(id)}/reject`;
          remote.print(await remote.api.post<Execution>(path, { reason }), renderExecution);
        },
      ).requiredOption('--reason <text>', 'why, for the record'),
    );
}

function renderRunbooks(items: readonly RunbookSummary[]): string {
  return renderTable(
    items,
    [
      ['RUNBOOK', (runbook) => runbook.id],
      ['MODE', (runbook) => runbook.mode],
      ['FOR', (runbook) => runbook.kinds.join(', ')],
      ['WHAT IT DOES', (runbook) => runbook.summary],
    ],
    'No runbooks.',
  );
}

function renderPlan(plan: Plan): string {
  const head = renderFields([
    ['runbook', `${plan.runbook} ${plan.version}`],
    ['diagnosis', plan.diagnosis],
    ['reasons', plan.reasons.join(', ')],
    ['affected', plan.affected.length],
    ['owners', plan.owners.join(', ')],
  ]);
  if (plan.refusal !== null) return `${head}\n\nNothing should be done: ${printable(plan.refusal)}`;
  const calls = renderTable(
    plan.calls,
    [
      ['CALL', (call) => call.summary],
      ['BEFORE', (call) => call.before],
      ['AFTER', (call) => call.after],
      ['UNDO', (call) => call.undo],
    ],
    'No calls',
  );
  return `${head}\n\n${calls}`;
}

function renderExecution(execution: Execution): string {
  return `${renderPlan(execution.plan)}\n\nExecution ${execution.id} is ${execution.status}.`;
}
