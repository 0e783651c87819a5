/**
 * `signalbox workflows check`: reads workflow files as an agent would, and tells what is wrong with each, without a
 * server. For a pull request: exit code 1 where a file would not run.
 */
import { Command } from 'commander';
import type { WorkflowDefinition, WorkflowFileError } from '../../../domain/agent-protocol.ts';
import { checkDefinition } from '../../../orchestrator/catalog/check-definition.ts';
import { poolsNamed } from '../../../orchestrator/catalog/pools.ts';
import { type LoadedWorkflows, loadWorkflows } from '../../../orchestrator/define/load.ts';
import { readConfig } from '../../config.ts';
import { workflowFolders } from '../../workflow-folders.ts';
import { ExitWith, UsageError } from '../exit.ts';
import { printable, renderTable, state } from '../output.ts';

interface Options {
  readonly json?: boolean;
}

export function checkCommand(): Command {
  return new Command('check')
    .description('Read workflow files as an agent would; exit code 1 where one is wrong')
    .argument('[folders...]', 'folders with workflow files (workflows)')
    .option('--json', 'print JSON')
    .action(async (named: string[], options: Options) => {
      const config = readConfig(process.env, {
        SIGNALBOX_WORKFLOWS: named.length === 0 ? undefined : named.join(','),
      });
      const folders = workflowFolders(config.workflows);
      if (folders.length === 0) {
        throw new UsageError('there is no folder "workflows" here: name one');
      }
      const loaded = await loadWorkflows(folders);
      const shown = loaded.definitions.filter(({ callbacksOf }) => callbacksOf === undefined);
      const errors = faultsOf(loaded);
      const pools = poolsNamed(shown).sort();
      if (options.json) {
        const definitions = shown.map(({ name, kind, file }) => ({ name, kind, file }));
        const told = { definitions, fileErrors: errors, empty: loaded.empty, pools };
        console.log(JSON.stringify(told));
      } else console.log(render(shown, errors, loaded.empty, pools));
      if (errors.length > 0) throw new ExitWith(1);
    });
}

/** What the files themselves have wrong, and what a server would refuse of the rest. */
function faultsOf({ definitions, errors }: LoadedWorkflows): readonly WorkflowFileError[] {
  const refused = definitions.flatMap((definition): WorkflowFileError[] => {
    const message = checkDefinition(definition);
    return message === null ? [] : [{ file: definition.file, message }];
  });
  return [...errors, ...refused].sort((a, b) => (a.file < b.file ? -1 : 1));
}

function render(
  definitions: readonly WorkflowDefinition[],
  errors: readonly WorkflowFileError[],
  empty: readonly string[],
  pools: readonly string[],
): string {
  const table = renderTable(
    definitions,
    [
      ['NAME', (one) => one.name],
      ['KIND', (one) => (one.sensor ? 'sensor' : one.kind)],
      ['TASKS', (one) => one.tasks.length],
      ['FILE', (one) => one.file],
    ],
    'No workflows',
  );
  const faults = errors.map(
    ({ file, message }) => `${state('error')}  ${printable(file)}\n       ${printable(message)}`,
  );
  const many = `${errors.length} ${errors.length === 1 ? 'file is' : 'files are'} wrong`;
  const helpers = empty.length === 0 ? [] : [`These define nothing: ${empty.join(', ')}`];
  const named =
    pools.length === 0
      ? []
      : [
          `Pools that tasks name: ${printable(pools.join(', '))}. One limits only once it was created (signalbox pools set NAME --max 10); signalbox pools list tells which were.`,
        ];
  return [
    table,
    ...faults,
    ...helpers,
    ...named,
    errors.length === 0 ? 'All files are good.' : many,
  ].join('\n\n');
}
