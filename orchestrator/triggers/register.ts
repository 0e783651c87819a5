/** Refuses workflows that would start each other in a circle, before they are stored. */
import type { WorkflowDefinition } from '../../domain/agent-protocol.ts';
import type { Db } from '../store/connection.ts';
import { readAllConditions } from '../store/workflow-on.ts';

/** The definitions without those whose conditions close a circle, of which the file is told. */
export async function refuseCircles(
  db: Db,
  definitions: readonly WorkflowDefinition[],
  tell: (file: string, message: string) => void,
): Promise<readonly WorkflowDefinition[]> {
  if (!definitions.some(({ on }) => on !== undefined)) return definitions;
  const startedBy = new Map<string, readonly string[]>();
  for (const { workflow, on } of await readAllConditions(db)) {
    startedBy.set(workflow, upstreamOf(on));
  }
  for (const { name, on } of definitions) startedBy.set(name, upstreamOf(on));
  return definitions.filter((definition) => {
    const circle = definition.on && circleFrom(definition.name, startedBy);
    if (!circle) return true;
    tell(
      definition.file,
      `${definition.name}: workflows start each other in a circle: ${circle.join(' → ')}`,
    );
    return false;
  });
}

function upstreamOf(on: WorkflowDefinition['on']): readonly string[] {
  return (on?.conditions ?? []).flatMap((one) => (one.kind === 'run' ? [one.workflow] : []));
}

/** A way from the workflow back to itself, in the order in which runs would start each other. */
function circleFrom(
  name: string,
  startedBy: ReadonlyMap<string, readonly string[]>,
): readonly string[] | null {
  const cameFrom = new Map<string, string>();
  const open = [name];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const upstream of startedBy.get(at) ?? []) {
      if (upstream === name) return wayBack(name, at, cameFrom);
      if (cameFrom.has(upstream)) continue;
      cameFrom.set(upstream, at);
      open.push(upstream);
    }
  }
  return null;
}

function wayBack(
  name: string,
  from: string,
  cameFrom: ReadonlyMap<string, string>,
): readonly string[] {
  const way = [name];
  for (let at: string | undefined = from; at !== undefined && at !== name; at = cameFrom.get(at)) {
    way.push(at);
  }
  return [...way, name];
}
