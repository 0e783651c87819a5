/** What runbooks may do about lost agents. An agent is named by its session's id, or by its name. */
import type { AgentLevers } from '../../domain/levers.ts';
import { listAgents } from '../store/agent-list.ts';
import { findHeld, loseSessions } from '../store/agent-session.ts';
import { type TakeBackDeps, takeBack } from './take-back.ts';

interface Found {
  readonly id: string;
  readonly state: string;
  readonly expired: boolean;
}

const FIND = `
  SELECT id, state, lease_expires_at < clock_timestamp() AS expired
  FROM signalbox.agent_session WHERE public_id::text = $1 OR name = $1 ORDER BY id DESC`;

export function createAgentLevers(deps: TakeBackDeps): AgentLevers {
  const { db } = deps;
  const ended = async (agentId: string) => {
    const sessions = await db.query<Found>(FIND, [agentId]);
    return {
      sessions,
      over: sessions.filter(({ state, expired }) => state !== 'live' || expired),
    };
  };
  return {
    list: () => listAgents(db),
    async orphanedTasks(agentId) {
      const { over } = await ended(agentId);
      const held = await findHeld(
        db,
        over.map(({ id }) => id),
        0,
      );
      return held.length;
    },
    async requeueLost(agentId) {
      const { sessions, over } = await ended(agentId);
      if (over.length === 0) {
        return { outcome: 'state-changed', found: sessions[0]?.state ?? 'unknown agent' };
      }
      let requeued = 0;
      for (const { id } of over) {
        await loseSessions(db, id);
        const { over: still } = await ended(agentId);
        if (!still.some((session) => session.id === id && session.state !== 'live')) continue;
        requeued += await takeBack(deps, await findHeld(db, [id], 0), 'lost');
      }
      return { outcome: requeued > 0 ? 'done' : 'already-so', requeued };
    },
  };
}
