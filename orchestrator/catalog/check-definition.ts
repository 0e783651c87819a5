/** What a server would refuse of a definition, for who asks before there is one. */
import type { WorkflowDefinition } from '../../domain/agent-protocol.ts';
import { isOwnName, ownNameFault } from '../../domain/shared-workflow.ts';
import { checkHooks } from '../deadlines/register.ts';
import { firstInterval, parseCron } from '../schedule/cron.ts';
import { compileGraph } from './graph.ts';

/** @returns the fault; null for none */
export function checkDefinition(definition: WorkflowDefinition): string | null {
  try {
    if (isOwnName(definition.name)) return ownNameFault(definition.name);
    compileGraph(definition);
    checkHooks(definition);
    const { schedule, asset } = definition;
    if (schedule && schedule.endDate === undefined && !firstInterval(schedule, 0)) {
      return `the schedule "${schedule.cron}" never comes`;
    }
    if (asset?.deadlineCron) parseCron({ cron: asset.deadlineCron, timezone: 'UTC' });
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
