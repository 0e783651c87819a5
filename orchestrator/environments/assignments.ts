/** What agents of an environment are handed, with the names that their code knows; and what they hand back. */
import type { AssetOutcome, Assignment, Completion } from '../../domain/agent-protocol.ts';
import { environmentOf, PRODUCTION, plainName, qualify } from '../../domain/environment.ts';
import type { Cause, RunOrigin } from '../../domain/origin.ts';
import type { InputVersion } from '../../domain/partition.ts';
import type { Run } from '../../domain/run.ts';
import type { Look, LookEnd } from '../../domain/sensor.ts';

export function plainAssignment(environment: string, assignment: Assignment): Assignment {
  const { trigger } = assignment;
  return {
    ...assignment,
    environment,
    workflow: plainName(assignment.workflow),
    taskKey: plainName(assignment.taskKey),
    ...(trigger === undefined ? {} : { trigger: plainOrigin(trigger) }),
  };
}

function plainOrigin(origin: RunOrigin): RunOrigin {
  if (origin.kind === 'sensor') return { ...origin, sensor: plainName(origin.sensor) };
  if (origin.kind === 'on') return { ...origin, causes: origin.causes.map(plainCause) };
  return origin;
}

function plainCause(cause: Cause): Cause {
  return cause.kind === 'run'
    ? { ...cause, workflow: plainName(cause.workflow) }
    : { ...cause, asset: plainName(cause.asset) };
}

export function plainRun(run: Run): Run {
  const environment = environmentOf(run.workflow);
  return environment === null ? run : { ...run, environment, workflow: plainName(run.workflow) };
}

export function plainLook(environment: string, look: Look): Look {
  return { ...look, environment, sensor: plainName(look.sensor) };
}

export function qualifyLookEnd(environment: string, end: LookEnd): LookEnd {
  return {
    ...end,
    sensor: qualify(environment, end.sensor),
    ...(end.runs
      ? {
          runs: end.runs.map((run) =>
            run.workflow === undefined
              ? run
              : { ...run, workflow: qualify(environment, run.workflow) },
          ),
        }
      : {}),
  };
}

/** @param taskKey as the run's graph has it */
export function qualifyCompletion(
  environment: string,
  completion: Completion,
  taskKey: string,
): Completion {
  const { asset } = completion;
  if (asset === undefined)
    return completion.taskKey === taskKey ? completion : { ...completion, taskKey };
  return { ...completion, taskKey, asset: qualifyOutcome(environment, asset) };
}

function qualifyOutcome(environment: string, outcome: AssetOutcome): AssetOutcome {
  const { of, inputs, partitions } = outcome;
  const inputsOf = (all: readonly InputVersion[]) => all.map((one) => inputIn(environment, one));
  return {
    ...outcome,
    ...(of === undefined ? {} : { of: qualify(environment, of) }),
    ...(inputs ? { inputs: inputsOf(inputs) } : {}),
    ...(partitions
      ? {
          partitions: Object.fromEntries(
            Object.entries(partitions).map(([key, one]) => [
              key,
              one.inputs ? { ...one, inputs: inputsOf(one.inputs) } : one,
            ]),
          ),
        }
      : {}),
  };
}

/** What was read from production keeps production's name: it tells where the data came from. */
function inputIn(environment: string, input: InputVersion): InputVersion {
  const { environment: from, ...rest } = input;
  return from === PRODUCTION ? rest : { ...rest, assetKey: qualify(environment, input.assetKey) };
}
