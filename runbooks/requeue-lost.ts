/**
 * Takes back what a lost agent held once its lease is over, so that another agent runs it. The lease reaper does
 * the same; whoever comes second finds nothing to do.
 */
import type { Plan, Runbook, RunbookContext } from '../domain/runbook.ts';
import { planOf, refuse, subjectsOf, textArgument } from './plan.ts';

const ID = { id: 'requeue-lost', version: '1' } as const;
const LEASE_LIMIT_MS = 60_000;

/** Runbook for agents that fell silent. */
export const requeueLost: Runbook = {
  ...ID,
  title: 'Hand on the work of a lost agent',
  summary: 'Takes back what the agent held after its lease, and watches whether it comes back',
  kinds: ['agent-lost'],
  defaultMode: 'auto',
  guardrails: { cooldownMs: 30_000, budgetPerHour: 120, maxCalls: 20, stopAfterFailures: 5 },
  parameters: { type: 'object', properties: {}, additionalProperties: false },
  handles: (incident) => incident.kind === 'agent-lost',
  plan,
  async act(context, plan) {
    for (const call of plan.calls) {
      const agentId = textArgument(call, 'agentId');
      const requeue = () => context.levers.agents.requeueLost(agentId);
      // While its lease lasts the agent may still be at work: nothing is taken from it.
      let changed = await context.step(call.key, requeue);
      if (changed.outcome === 'state-changed') {
        const over = await context.waitUntil(
          `lease-${agentId}`,
          async () => (await requeue()).outcome !== 'state-changed',
          LEASE_LIMIT_MS,
        );
        changed = over ? { outcome: 'done', requeued: 0 } : changed;
      }
      const ok = changed.outcome !== 'state-changed';
      await context.report({
        key: call.key,
        ok: true,
        outcome: ok ? changed.outcome : 'state-changed-since-plan',
        detail: { agentId, ...('requeued' in changed ? { requeued: changed.requeued } : {}) },
      });
    }
  },
  async confirm({ levers }, plan) {
    const orphaned = await Promise.all(
      plan.calls.map((call) => levers.agents.orphanedTasks(textArgument(call, 'agentId'))),
    );
    const left = orphaned.reduce((sum, count) => sum + count, 0);
    return { ok: left === 0, detail: `${left} tasks still belong to the lost agent` };
  },
};

async function plan(context: RunbookContext): Promise<Plan> {
  const names = subjectsOf(context, 'agent');
  const agents = (await context.levers.agents.list()).filter(({ name }) => names.includes(name));
  const silent = agents.filter(({ state }) => state === 'late' || state === 'lost');
  if (silent.length === 0) return refuse(ID, 'agent-is-back', 'no-lost-session-is-known');
  return planOf(ID, {
    diagnosis: context.incident.diagnosis ?? 'held-work',
    reasons: [
      'work is taken back only after the lease; a late completion is refused by its fencing token',
    ],
    calls: silent.map((agent) => ({
      key: `requeue-${agent.id}`,
      summary: `take back what ${agent.name} held (${agent.running} tasks)`,
      lever: 'agents.requeueLost',
      arguments: { agentId: agent.id },
      before: agent.running,
      after: 0,
      undo: null,
    })),
  });
}
