import { Command } from 'commander';
import { ExitWith } from '../exit.ts';

/** `signalbox drill` */
export function drillCommand(): Command {
  return new Command('drill')
    .description('Cause a real outage on an instance of its own, and judge the response')
    .argument('<names...>', 'pool-exhaustion, duplicate-runs, asset-cascade, or all')
    .option('--json', 'print JSON')
    .action(async (names: string[], options: { json?: boolean }) => {
      const { runDrills } = await import('../../drills/run.ts');
      const code = await runDrills(names, { json: options.json === true });
      if (code !== 0) throw new ExitWith(code);
    });
}
