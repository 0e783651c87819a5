/** Ending sessions that hold connections for nothing: a leak's, or the one that blocks all others. */
import type { ServerSession } from '../domain/levers.ts';
import type { ActContext, Plan, PlannedCall, RunbookContext } from '../domain/runbook.ts';
import { planOf, refuse, textArgument } from './plan.ts';

type RunbookId = { readonly id: string; readonly version: string };

/** A session that began its transaction just now may be at honest work between two statements. */
const IDLE_LEAST_SECONDS = 1;
const BLOCKER_LEAST_SECONDS = 10;
const LEAST_LIMIT = 5;
/** The role's other sessions keep their places, and some more. */
const LIMIT_MARGIN = 1.5;

interface Leak {
  readonly role: string;
  readonly application: string;
  readonly sessions: readonly ServerSession[];
}

/** Plans the end of the leaking sessions, oldest first, and a limit for their role. */
export async function planLeak(
  id: RunbookId,
  context: RunbookContext,
  server: string,
): Promise<Plan> {
  const { levers } = context;
  const sessions = await levers.pools.sessions(server);
  const leak = largestLeak(sessions);
  if (!leak) return refuse(id, 'leak', 'no-idle-transactions-left');
  const others = sessions.filter(
    (session) => session.role === leak.role && !isIdle(session),
  ).length;
  const wanted = Number(
    context.parameters['roleLimit'] ?? Math.max(LEAST_LIMIT, Math.ceil(others * LIMIT_MARGIN)),
  );
  const limit = await levers.pools.roleConnectionLimit(server, leak.role);
  const name = `${leak.application || 'unnamed'} (${leak.role})`;
  // The limit first: what leaks would otherwise fill the places as they come free.
  const slow: PlannedCall[] =
    limit === -1 || limit > wanted
      ? [
          {
            key: 'limit-role',
            summary: `limit role ${leak.role} on ${server} to ${wanted} connections`,
            lever: 'pools.setRoleConnectionLimit',
            arguments: { server, role: leak.role, limit: wanted, expected: limit },
            before: limit,
            after: wanted,
            undo: `set the limit of ${leak.role} back to ${limit}`,
          },
        ]
      : [];
  return planOf(id, {
    diagnosis: 'leak',
    reasons: [
      `${name} holds ${leak.sessions.length} sessions idle in transaction`,
      'enlarging a pool that leaks only delays its end',
    ],
    calls: [...slow, terminateCall(server, leak.sessions, `of ${name}, oldest first`)],
    affected: [{ type: 'server', id: server }],
  });
}

/** Plans the end of the one session that all others wait for, where it does nothing. */
export async function planWedge(
  id: RunbookId,
  { levers }: RunbookContext,
  server: string,
): Promise<Plan> {
  const sessions = await levers.pools.sessions(server);
  const blocking = new Set(sessions.flatMap((session) => session.blockedBy));
  const roots = sessions.filter(
    ({ pid, blockedBy }) => blocking.has(pid) && blockedBy.length === 0,
  );
  const idle = roots.filter(
    (session) => isIdle(session) && session.stateSeconds >= BLOCKER_LEAST_SECONDS,
  );
  if (roots.length === 0) return refuse(id, 'wedged', 'no-blocker-left');
  if (idle.length !== roots.length || roots.length > 1) {
    const who = roots.map((one) => `${one.pid} (${one.role}, ${one.state})`).join(', ');
    return refuse(id, 'wedged', 'blocker-is-at-work', [`blocked by ${who}`]);
  }
  return planOf(id, {
    diagnosis: 'wedged',
    reasons: [`${blocking.size} sessions block others; the first of them idles in its transaction`],
    calls: [terminateCall(server, idle, 'that blocks all others')],
    affected: [{ type: 'server', id: server }],
  });
}

function terminateCall(
  server: string,
  sessions: readonly ServerSession[],
  which: string,
): PlannedCall {
  return {
    key: 'terminate',
    summary: `end ${sessions.length} sessions on ${server} idle in transaction ${which}`,
    lever: 'pools.terminate',
    arguments: {
      server,
      sessions: sessions.map(({ pid, backendStart, state }) => ({ pid, backendStart, state })),
    },
    before: sessions.length,
    after: 0,
    undo: null,
  };
}

function isIdle(session: ServerSession): boolean {
  return session.state.startsWith('idle in transaction');
}

/** The role and application with the most idle transactions. */
function largestLeak(sessions: readonly ServerSession[]): Leak | undefined {
  const groups = new Map<string, ServerSession[]>();
  for (const session of sessions) {
    if (!isIdle(session) || session.stateSeconds < IDLE_LEAST_SECONDS) continue;
    const key = JSON.stringify([session.role, session.application]);
    groups.set(key, [...(groups.get(key) ?? []), session]);
  }
  const [most] = [...groups.values()].toSorted((a, b) => b.length - a.length);
  const first = most?.[0];
  if (!most || !first) return undefined;
  const oldestFirst = most.toSorted(
    (a, b) => (b.transactionSeconds ?? 0) - (a.transactionSeconds ?? 0) || a.pid - b.pid,
  );
  return { role: first.role, application: first.application, sessions: oldestFirst };
}

/** Carries the plan out. */
export async function actOnLeak(context: ActContext, plan: Plan): Promise<void> {
  for (const call of plan.calls) {
    if (call.lever === 'pools.terminate') await terminate(context, call);
    else await setLimit(context, call, 'limit', 'expected');
  }
}

async function setLimit(
  context: ActContext,
  call: PlannedCall,
  to: string,
  from: string,
  key = call.key,
): Promise<void> {
  const server = textArgument(call, 'server');
  const role = textArgument(call, 'role');
  const limit = Number(call.arguments[to]);
  const changed = await context.step(key, () =>
    context.levers.pools.setRoleConnectionLimit(server, role, limit, Number(call.arguments[from])),
  );
  const same = changed.outcome !== 'state-changed';
  await context.report({
    key,
    ok: same,
    outcome: same ? changed.outcome : 'state-changed-since-plan',
    detail: { server, role, limit, ...(same ? {} : { found: changed.found }) },
  });
}

async function terminate(context: ActContext, call: PlannedCall): Promise<void> {
  const server = textArgument(call, 'server');
  const { ended, changed } = await context.step(call.key, () =>
    context.levers.pools.terminate(server, sessionsOf(call)),
  );
  await context.report({
    key: call.key,
    ok: true,
    outcome: ended.length > 0 ? 'done' : 'state-changed-since-plan',
    detail: { server, ended: ended.length, changedSincePlan: changed.length },
  });
}

type PlannedSession = Pick<ServerSession, 'pid' | 'backendStart' | 'state'>;

function sessionsOf(call: PlannedCall): readonly PlannedSession[] {
  const sessions = call.arguments['sessions'];
  return Array.isArray(sessions) ? (sessions as PlannedSession[]) : [];
}

/** The sessions of the plan are gone. */
export async function confirmLeak({ levers }: RunbookContext, plan: Plan) {
  const call = plan.calls.find(({ lever }) => lever === 'pools.terminate');
  if (!call) return { ok: true, detail: 'nothing was to be ended' };
  const planned = new Set(sessionsOf(call).map(nameOf));
  const sessions = await levers.pools.sessions(textArgument(call, 'server'));
  // One that went on with its work is no longer what was leaking.
  const left = sessions.filter((session) => isIdle(session) && planned.has(nameOf(session))).length;
  return {
    ok: left === 0,
    detail: `${left} of ${planned.size} planned sessions are still idle in transaction`,
  };
}

function nameOf(session: PlannedSession): string {
  return `${session.pid} ${session.backendStart}`;
}

/** Takes the limit back where it did not help. What was ended cannot be undone. */
export async function undoLeak(context: ActContext, plan: Plan): Promise<void> {
  const call = plan.calls.find(({ key }) => key === 'limit-role');
  if (call) await setLimit(context, call, 'expected', 'limit', 'undo-limit-role');
}
