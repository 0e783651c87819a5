/**
 * The one thing to do about an incident now, in words that say what will happen; and what stands beside it.
 * A plan that waits for a person comes first, then taking the incident, then closing it.
 */
import type { Incident } from '../../../../domain/incident.ts';
import type { Execution } from '../../../../domain/runbook.ts';

export type IncidentAct =
  | { readonly kind: 'approve' | 'reject'; readonly executionId: string }
  | { readonly kind: 'start'; readonly runbook: string }
  | { readonly kind: 'acknowledge' | 'resolve' };

export interface Choice {
  readonly label: string;
  readonly act: IncidentAct;
}

export interface Choices {
  readonly primary: Choice | null;
  readonly others: readonly Choice[];
}

const ACTING: readonly Execution['status'][] = ['approved', 'acting', 'verifying'];

export function choicesFor(incident: Incident, executions: readonly Execution[]): Choices {
  if (incident.status === 'resolved') return { primary: null, others: [] };
  const waiting = executions.find(({ status }) => status === 'awaiting-approval');
  const suggested = executions.find(
    ({ status, mode, plan }) => status === 'planned' && mode === 'suggest' && plan.refusal === null,
  );
  const acknowledge: Choice[] =
    incident.status === 'open'
      ? [{ label: 'Acknowledge: you look after it', act: { kind: 'acknowledge' } }]
      : [];
  const resolve: Choice = {
    label: 'Resolve by hand, without proof from the evidence',
    act: { kind: 'resolve' },
  };
  if (waiting) {
    return {
      primary: {
        label: `Approve: ${planText(waiting)}`,
        act: { kind: 'approve', executionId: waiting.id },
      },
      others: [
        { label: 'Reject the plan', act: { kind: 'reject', executionId: waiting.id } },
        ...acknowledge,
        resolve,
      ],
    };
  }
  if (suggested) {
    return {
      primary: {
        label: `Do it: ${planText(suggested)}`,
        act: { kind: 'start', runbook: suggested.runbook },
      },
      others: [...acknowledge, resolve],
    };
  }
  const isActing = executions.some(({ status }) => ACTING.includes(status));
  if (isActing) return { primary: null, others: [...acknowledge, resolve] };
  const [first] = acknowledge;
  if (first) return { primary: first, others: [resolve] };
  return { primary: resolve, others: [] };
}

function planText({ plan }: Execution): string {
  const [first, ...more] = plan.calls;
  if (!first) return plan.runbook;
  return more.length === 0 ? first.summary : `${first.summary}, and ${more.length} more`;
}
