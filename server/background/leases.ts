/**
 * Which background steps this server runs. Each step has a lease in Postgres; its holder renews it, and
 * whoever comes first takes it over when it is over. A lease counts as held for less time than Postgres says,
 * measured from before it was asked for: so two servers never think at once that they hold it.
 */
import type { Pool } from 'pg';
import { releaseLeases, takeLeases } from '../store/leases.ts';

const LEASE_MS = 6_000;
/** Renewed four times a lease; the last quarter does not count as held. */
const QUARTERS = 4;

export interface LeasesOptions {
  readonly db: Pool;
  readonly holder: string;
  log(message: string): void;
  readonly leaseMs?: number;
}

export function createLeases({ db, holder, log, leaseMs = LEASE_MS }: LeasesOptions) {
  const quarterMs = leaseMs / QUARTERS;
  const names = new Set<string>();
  let heldUntil = new Map<string, number>();
  let failing = false;
  let timer: NodeJS.Timeout | undefined;
  let renewing: Promise<void> = Promise.resolve();

  async function renew(): Promise<void> {
    const askedAt = performance.now();
    try {
      const held = await takeLeases(db, [...names], holder, leaseMs);
      heldUntil = new Map(held.map((name) => [name, askedAt + leaseMs - quarterMs]));
      if (failing) log('the leases of background steps are renewed again');
      failing = false;
    } catch (error) {
      if (!failing) log(`the leases of background steps cannot be renewed: ${error}`);
      failing = true;
    }
  }

  return {
    isHeld: (name: string) => performance.now() < (heldUntil.get(name) ?? 0),
    /** Tries for leases of these names from now on. */
    async want(...wanted: readonly string[]): Promise<void> {
      for (const name of wanted) names.add(name);
      renewing = renewing.then(renew);
      await renewing;
    },
    start(): void {
      timer = setInterval(() => {
        renewing = renewing.then(renew);
      }, quarterMs);
    },
    /** Gives all leases up; call it when nothing runs under them any more. */
    async stop(): Promise<void> {
      clearInterval(timer);
      await renewing;
      heldUntil = new Map();
      await releaseLeases(db, holder).catch(() => undefined);
    },
  };
}

export type Leases = ReturnType<typeof createLeases>;
