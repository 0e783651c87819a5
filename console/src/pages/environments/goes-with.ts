/** What is lost and what happens when an environment is deleted, in the words of its plan. */
import type { Environment } from '../../../../domain/environment.ts';
import { formatCount } from '../../parts/format.ts';

export function goesWith({ workflows, assets, agents, activeRuns }: Environment): string[] {
  return [
    activeRuns > 0
      ? `${formatCount(activeRuns, 'run')} under way ${activeRuns === 1 ? 'is' : 'are'} cancelled first`
      : null,
    agents > 0
      ? `${formatCount(agents, 'agent')} of it ${agents === 1 ? 'is' : 'are'} turned away`
      : null,
    `${formatCount(workflows, 'workflow')} with all runs, logs and results`,
    `${formatCount(assets, 'asset')} with all versions, partitions and checks`,
    'its sensors, queues, pools, deadlines and waiting events',
  ].filter((line) => line !== null);
}
