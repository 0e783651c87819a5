/**
 * Roles. Three for people and their programs, each of which may do what the one before may; three narrow ones
 * for machines. Each route states the least role that it needs.
 */

export const ROLES = ['viewer', 'operator', 'admin', 'ingest', 'metrics', 'agent'] as const;
export type Role = (typeof ROLES)[number];

/** `any`: whoever has a valid token. `open`: nobody is asked. */
export type Need = Role | 'any' | 'open';

/** Roles that each role stands for. An agent sends telemetry as well, a viewer may scrape. */
const STANDS_FOR: Readonly<Record<Role, readonly Role[]>> = {
  viewer: ['viewer', 'metrics'],
  operator: ['viewer', 'operator', 'metrics'],
  admin: ROLES,
  ingest: ['ingest'],
  metrics: ['metrics'],
  agent: ['agent', 'ingest'],
};

/** Whether a token of this role may call a route with that need. */
export function satisfies(role: Role, need: Need): boolean {
  return need === 'open' || need === 'any' || STANDS_FOR[role].includes(need);
}
