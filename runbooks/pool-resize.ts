/**
 * Puts a pool right that runs out, by its diagnosis. A leak is never answered with a larger pool: the sessions
 * that hold connections idle in a transaction are ended, and the role that opens them is slowed down. Honest
 * load gets a larger pool, within the server's whole connection budget. One blocker that idles is ended. All
 * else needs a person.
 */
import type { ActContext, Plan, Runbook, RunbookContext } from '../domain/runbook.ts';
import { diagnosisOf, refuse, subjectsOf } from './plan.ts';
import { actOnLeak, confirmLeak, planLeak, planWedge, undoLeak } from './pool-leak.ts';
import {
  actOnSaturation,
  confirmSaturation,
  planSaturation,
  undoSaturation,
} from './pool-saturation.ts';

const ID = { id: 'pool-resize', version: '1' } as const;

/** Runbook for pools that run out. */
export const poolResize: Runbook = {
  ...ID,
  title: 'Give a pool room again',
  summary: 'Ends what leaks and slows its role, or enlarges a saturated pool within the budget',
  kinds: ['pool-exhaustion'],
  defaultMode: 'auto',
  guardrails: { cooldownMs: 60_000, budgetPerHour: 12, maxCalls: 20, stopAfterFailures: 3 },
  parameters: {
    type: 'object',
    properties: {
      roleLimit: { type: 'integer', minimum: 1, description: 'Connections left to a leaking role' },
      max: { type: 'integer', minimum: 1, description: 'Ceiling for a saturated pool' },
    },
    additionalProperties: false,
  },
  handles: (incident) => incident.kind === 'pool-exhaustion',
  async plan(context) {
    const diagnosis = diagnosisOf(context);
    const server = await serverOf(context);
    if (diagnosis === 'saturation') return planSaturation(ID, context, server);
    if (diagnosis !== 'leak' && diagnosis !== 'wedged') {
      return refuse(ID, diagnosis, 'no-safe-remedy', [
        `nothing is known to help against ${diagnosis}`,
      ]);
    }
    if (server === null) return refuse(ID, diagnosis, 'server-is-not-watched');
    return diagnosis === 'leak' ? planLeak(ID, context, server) : planWedge(ID, context, server);
  },
  async act(context, plan) {
    await (isSaturation(plan) ? actOnSaturation(context, plan) : actOnLeak(context, plan));
  },
  confirm: (context, plan) =>
    isSaturation(plan) ? confirmSaturation(context, plan) : confirmLeak(context, plan),
  undo: (context: ActContext, plan: Plan) =>
    isSaturation(plan) ? undoSaturation(context, plan) : undoLeak(context, plan),
};

function isSaturation(plan: Plan): boolean {
  return plan.diagnosis === 'saturation';
}

async function serverOf(context: RunbookContext): Promise<string | null> {
  const [server] = subjectsOf(context, 'server');
  if (server !== undefined) return server;
  for (const pool of subjectsOf(context, 'pool')) {
    const found = await context.levers.pools.serverOf(pool);
    if (found !== null) return found;
  }
  return null;
}
