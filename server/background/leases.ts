/**
 * Which background steps this server runs. Each step has a lease in Postgres; its holder renews it, and
 * whoever comes first takes it over when it is over. A lease counts as held for less time than Postgres says,
 * measured from before it was asked for: so two servers never think at once that they hold it.
 */
import type { Pool } from 'pg';
import { releaseLeases, takeLeases } from '../store/leases.ts';

const LEASE_MS = 6_000;
const RENEW_EVERY_MS = 1_500;
const MARGIN_MS = 1_500;

export interface LeasesOptions {
  readonly db: Pool;
  readonly holder: string;
  readonly names: readonly string[];
  log(message: string): void;
}

export function createLeases({ db, holder, names, log }: LeasesOptions) {
  let heldUntil = new Map<string, number>();
  let failing = false;
  let timer: NodeJS.Timeout | undefined;
  let renewing: Promise<void> = Promise.resolve();

  async function renew(): Promise<void> {
    const askedAt = performance.now();
    try {
      const held = await takeLeases(db, names, holder, LEASE_MS);
      heldUntil = new Map(held.map((name) => [name, askedAt + LEASE_MS - MARGIN_MS]));
      if (failing) log('the leases of background steps are renewed again');
      failing = false;
    } catch (error) {
      if (!failing) log(`the leases of background steps cannot be renewed: ${error}`);
      failing = true;
    }
  }

  return {
    isHeld: (name: string) => performance.now() < (heldUntil.get(name) ?? 0),
    async start(): Promise<void> {
      await renew();
      timer = setInterval(() => {
        renewing = renewing.then(renew);
      }, RENEW_EVERY_MS);
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
