/**
 * Enlarging a pool for honest load. Before any pool grows the server's whole budget is checked: what is open,
 * and what every other pool has been promised.
 */
import type { ConnectionBudget } from '../domain/levers.ts';
import type { Pool } from '../domain/pool.ts';
import type { ActContext, Plan, PlannedCall, RunbookContext } from '../domain/runbook.ts';
import { planOf, refuse, subjectsOf, textArgument } from './plan.ts';

type RunbookId = { readonly id: string; readonly version: string };

/** Share of a server's connections that stays free for people and for what nobody foresaw. */
const HEADROOM = 0.1;
const STEP_LEAST = 2;
const STEP_MOST = 3;

/** Plans a larger ceiling for each saturated client pool. */
export async function planSaturation(
  id: RunbookId,
  context: RunbookContext,
  server: string | null,
): Promise<Plan> {
  const { levers } = context;
  const names = subjectsOf(context, 'pool');
  const found = (await Promise.all(names.map((name) => levers.pools.get(name)))).filter(
    (pool) => pool !== null,
  );
  const pools = found.filter((pool) => pool.kind === 'postgres-client' && pool.max !== null);
  if (pools.length === 0) return refuse(id, 'saturation', 'no-pool-that-can-grow', names);
  if (server === null) return refuse(id, 'saturation', 'server-is-not-watched');
  const budget = await levers.pools.budget(server);
  const open = await openOfPools(context, budget);
  const reasons: string[] = [];
  const calls: PlannedCall[] = [];
  let spent = 0;
  for (const pool of pools) {
    const room = roomFor(pool, budget, open) - spent;
    const { call, reason, takes } = enlarge(pool, budget, room, context.parameters['max']);
    reasons.push(reason);
    spent += takes;
    if (call) calls.push(call);
  }
  if (calls.length === 0) return refuse(id, 'saturation', 'no-room-in-the-budget', reasons);
  return planOf(id, {
    diagnosis: 'saturation',
    reasons,
    calls,
    affected: [{ type: 'server', id: server }],
  });
}

async function openOfPools({ levers }: RunbookContext, budget: ConnectionBudget): Promise<number> {
  const pools = await Promise.all(budget.pools.map(({ name }) => levers.pools.get(name)));
  return pools.reduce((sum, pool) => sum + (pool ? pool.used + pool.idle : 0), 0);
}

/** Connections that this pool may have in all its processes together. */
function roomFor(pool: Pool, budget: ConnectionBudget, openOfKnown: number): number {
  const ordinary = budget.maxConnections - budget.reserved;
  const ofOthers = Math.max(0, budget.open - openOfKnown);
  const promised = budget.pools
    .filter(({ name }) => name !== pool.name)
    .reduce((sum, { max, instances }) => sum + max * instances, 0);
  return ordinary - Math.ceil(budget.maxConnections * HEADROOM) - ofOthers - promised;
}

function enlarge(pool: Pool, budget: ConnectionBudget, room: number, wished: unknown) {
  const known = budget.pools.find(({ name }) => name === pool.name);
  const before = known?.max ?? pool.max ?? 0;
  const instances = Math.max(1, known?.instances ?? 1);
  const waiting = Math.ceil(pool.waiting / instances);
  const wanted = Math.min(STEP_MOST * before, Math.max(STEP_LEAST * before, before + waiting));
  const after = Math.min(Number(wished ?? wanted), Math.floor(room / instances));
  const reason = `${pool.name}: ${pool.used} of ${before * instances} at work, ${pool.waiting} waiting; the budget of ${budget.server} leaves it ${Math.max(0, room)} of ${budget.maxConnections}`;
  if (after <= before) return { call: null, reason, takes: 0 };
  const call: PlannedCall = {
    key: `resize-${pool.name}-${after}`,
    summary: `raise pool ${pool.name} ${before} → ${after}`,
    lever: 'pools.setMax',
    arguments: { pool: pool.name, max: after, expected: before },
    before,
    after,
    undo: `set pool ${pool.name} back to ${before}`,
  };
  return { call, reason, takes: (after - before) * instances };
}

/** Carries the plan out. */
export async function actOnSaturation(context: ActContext, plan: Plan): Promise<void> {
  for (const call of plan.calls) await setMax(context, call, 'max', 'expected', call.key);
}

async function setMax(
  context: ActContext,
  call: PlannedCall,
  to: string,
  from: string,
  key: string,
): Promise<void> {
  const pool = textArgument(call, 'pool');
  const changed = await context.step(key, () =>
    context.levers.pools.setMax(pool, Number(call.arguments[to]), Number(call.arguments[from])),
  );
  const same = changed.outcome !== 'state-changed';
  await context.report({
    key,
    ok: same,
    outcome: same ? changed.outcome : 'state-changed-since-plan',
    detail: { pool, max: call.arguments[to], ...(same ? {} : { found: changed.found }) },
  });
}

/** The pools have the ceilings of the plan. */
export async function confirmSaturation({ levers }: RunbookContext, plan: Plan) {
  const wrong: string[] = [];
  for (const call of plan.calls) {
    const pool = await levers.pools.get(textArgument(call, 'pool'));
    if (pool?.max !== call.after)
      wrong.push(`${textArgument(call, 'pool')} has ${pool?.max ?? 'no ceiling'}`);
  }
  return {
    ok: wrong.length === 0,
    detail: wrong.join('; ') || 'the pools have their new ceilings',
  };
}

/** Puts ceilings back that did not help. */
export async function undoSaturation(context: ActContext, plan: Plan): Promise<void> {
  for (const call of plan.calls) {
    await setMax(context, call, 'expected', 'max', `undo-${call.key}`);
  }
}
