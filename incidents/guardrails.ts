/** Limits on automatic action. Each is stored with the decision that it allowed or forbade. */
import type { GuardrailState, Runbook } from '../domain/runbook.ts';
import { formatDuration } from '../domain/time.ts';
import type { Usage } from './store/executions.ts';

/** Responses to one incident; what they do not mend needs a person. */
const MOST_FOR_ONE_INCIDENT = 6;

/** The state of all guardrails of a runbook. */
export function judgeGuardrails(
  runbook: Runbook,
  usage: Usage,
  around: { killSwitch: boolean; calls: number; now: number },
): readonly GuardrailState[] {
  const { cooldownMs, budgetPerHour, maxCalls, stopAfterFailures } = runbook.guardrails;
  const restMs =
    usage.lastOnTarget === null ? 0 : Math.max(0, usage.lastOnTarget + cooldownMs - around.now);
  return [
    {
      name: 'kill-switch',
      allows: !around.killSwitch,
      detail: around.killSwitch ? 'on: nothing acts by itself' : 'off',
    },
    {
      name: 'cooldown',
      allows: restMs === 0,
      detail: restMs === 0 ? `${formatDuration(cooldownMs)} kept` : `${restMs} ms left`,
    },
    {
      name: 'budget',
      allows: usage.withinHour < budgetPerHour,
      detail: `${usage.withinHour} of ${budgetPerHour} in an hour`,
    },
    {
      name: 'max-calls',
      allows: around.calls <= maxCalls,
      detail: `${around.calls} of ${maxCalls} calls`,
    },
    {
      name: 'stop-after-failures',
      allows: usage.failuresInRow < stopAfterFailures,
      detail: `${usage.failuresInRow} of ${stopAfterFailures} in a row`,
    },
    {
      name: 'responses-to-one-incident',
      allows: usage.ofIncident < MOST_FOR_ONE_INCIDENT,
      detail: `${usage.ofIncident} of ${MOST_FOR_ONE_INCIDENT}`,
    },
  ];
}

/** The first that forbids, if any. */
export function forbidding(guardrails: readonly GuardrailState[]): GuardrailState | undefined {
  return guardrails.find(({ allows }) => !allows);
}
