/** Environments as the rest of the product uses them. */
import type {
  Environment,
  EnvironmentDiff,
  EnvironmentRequest,
  ProductionRead,
} from '../../domain/environment.ts';
import type { Actor, Page, PageQuery } from '../service.ts';

export interface EnvironmentService {
  list(query: PageQuery): Promise<Page<Environment>>;
  get(name: string): Promise<Environment>;
  /**
   * Makes one, or changes one that is there; either counts as seen now.
   * @throws SignalboxError `invalid-request` for a name that cannot be one, `conflict` for one that is being deleted
   */
  save(
    request: EnvironmentRequest,
    actor: Actor,
  ): Promise<{ readonly environment: Environment; readonly created: boolean }>;
  /** Cancels what runs and deletes all of it, in the background; done when `get` says `not-found`. */
  delete(name: string, actor: Actor): Promise<Environment>;
  /** What the branch defines beside production, and what of production lies below. */
  diff(name: string): Promise<EnvironmentDiff>;
  /** @throws SignalboxError `not-found`; `conflict` where `forChange` and it is being deleted */
  require(name: string, forChange: boolean): Promise<void>;
  /** Environment of an agent's session; null for production. */
  ofSession(sessionId: string): Promise<string | null>;
  /** Environments by run; runs of production are missing. */
  ofRuns(runIds: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Versions of production's that a run read. */
  readsOf(runId: string): Promise<readonly ProductionRead[]>;
  /** What else is to be deleted with an environment. */
  add(deletion: (environment: string) => Promise<void>): void;
}
