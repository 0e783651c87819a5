/** Automation put together: what looks, and what tells of it. */
import { createStaleness } from '../assets/staleness.ts';
import type { Hub } from '../events/hub.ts';
import type { Reconciler } from '../service.ts';
import { type AutomationDeps, createAutomationFollower } from './follow.ts';
import { type AutomationService, createAutomationService } from './service.ts';

export interface Automation {
  readonly service: AutomationService;
  readonly reconciler: Reconciler;
  close(): Promise<void>;
}

export function createAutomation(
  deps: Omit<AutomationDeps, 'staleness'> & { readonly hub: Hub },
): Automation {
  const follower = createAutomationFollower({ ...deps, staleness: createStaleness(deps.db) });
  const service = createAutomationService({
    ...{ db: deps.db, clock: deps.clock },
    changed: (topic, id) => deps.hub.changed(topic, id),
  });
  return { service, reconciler: follower.reconciler, close: follower.close };
}
