/**
 * What makes a pool run out, since the remedy depends on it: enlarging a pool that leaks only delays the end.
 * Judged by who holds the server's connections and in which state; without that knowledge it is `unclear`.
 */
import type { PoolHolder } from '../../domain/pool.ts';
import { type Fired, idleInTransaction } from './pool-rules.ts';

export interface Diagnosis {
  readonly diagnosis: 'leak' | 'saturation' | 'wedged' | 'client-side' | 'unclear';
  /** The cause in words; null where nothing is known. */
  readonly cause: string | null;
}

const LEAK_LEAST_SESSIONS = 5;
const LEAK_LEAST_SHARE = 0.25;
const LEAK_LEAST_SECONDS = 5;
const WEDGED_LEAST_SESSIONS = 3;
const WEDGED_LEAST_SHARE = 0.5;
const SATURATED_LEAST_SHARE = 0.6;

/** @param holders who holds connections of the server now; undefined where the server is not watched */
export function diagnose(
  fired: readonly Fired[],
  holders: readonly PoolHolder[] | undefined,
): Diagnosis {
  const server =
    holders &&
    fromHolders(
      holders,
      fired.some((each) => each.reason === 'leak-grows'),
    );
  if (server && server.diagnosis !== 'unclear') return server;
  const client = fired.find((each) => each.reason === 'waiting-below-ceiling');
  if (client) {
    return {
      diagnosis: 'client-side',
      cause: `clients of pool ${client.series.pool} wait although its ceiling is not reached: they cannot open connections`,
    };
  }
  const slots = fired.find((each) => each.series.kind === 'task-slots');
  if (slots) {
    return {
      diagnosis: 'saturation',
      cause: `all slots of pool ${slots.series.pool} have been taken and tasks have been waiting without a break`,
    };
  }
  return server ?? { diagnosis: 'unclear', cause: null };
}

function fromHolders(all: readonly PoolHolder[], leakSeen: boolean): Diagnosis {
  const open = sum(all);
  const inUse = all.filter((holder) => holder.state !== 'idle');
  const used = sum(inUse);
  const leak = largest(all.filter(idleInTransaction));
  if (
    leak &&
    (leakSeen ||
      (leak.count >= Math.max(LEAK_LEAST_SESSIONS, LEAK_LEAST_SHARE * open) &&
        leak.oldestTransactionSeconds >= LEAK_LEAST_SECONDS))
  ) {
    return {
      diagnosis: 'leak',
      cause: `role ${leak.role}, application ${leak.application || 'unnamed'}: ${leak.count} sessions idle in transaction, the oldest for ${Math.round(leak.oldestTransactionSeconds)} s`,
    };
  }
  const blocked = inUse.reduce((total, holder) => total + holder.blockedBy, 0);
  if (blocked >= Math.max(WEDGED_LEAST_SESSIONS, WEDGED_LEAST_SHARE * used)) {
    return {
      diagnosis: 'wedged',
      cause: `${blocked} of ${used} working sessions wait for a lock that others hold`,
    };
  }
  const active = sum(all.filter((holder) => holder.state === 'active'));
  if (used > 0 && active >= SATURATED_LEAST_SHARE * used && used >= open / 2) {
    return {
      diagnosis: 'saturation',
      cause: `${active} of ${used} sessions in use are at work: the load is larger than the pool`,
    };
  }
  const hoarder = largest(all.filter((holder) => holder.state === 'idle'));
  return {
    diagnosis: 'unclear',
    cause: hoarder
      ? `role ${hoarder.role}, application ${hoarder.application || 'unnamed'} keeps ${hoarder.count} of ${open} connections idle`
      : null,
  };
}

function sum(holders: readonly PoolHolder[]): number {
  return holders.reduce((total, holder) => total + holder.count, 0);
}

function largest(holders: readonly PoolHolder[]): PoolHolder | undefined {
  return holders.reduce<PoolHolder | undefined>(
    (most, holder) => (most === undefined || holder.count > most.count ? holder : most),
    undefined,
  );
}
