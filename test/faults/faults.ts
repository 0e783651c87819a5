/** The faults that are injected: each breaks something for a while and leaves it whole. */
import { statfs, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { familyOf, type Part, tell } from './part.ts';
import { LEASE_MS, type Stage } from './stage.ts';

export interface Fault {
  readonly name: string;
  readonly weight: number;
  inject(stage: Stage, random: () => number): Promise<void>;
}

const LONGEST_CUT_MS = LEASE_MS * 2;

export const FAULTS: readonly Fault[] = [
  {
    name: 'an agent is killed',
    weight: 4,
    inject: ({ agents }, random) => pick(agents, random).kill(),
  },
  {
    name: 'a server is killed',
    weight: 2,
    inject: ({ servers }, random) => pick(servers, random).kill(),
  },
  {
    name: 'a server is stopped past its leases and continued',
    weight: 2,
    inject: ({ servers }, random) => suspend(pick(servers, random)),
  },
  {
    name: 'an agent is stopped past its lease and continued',
    weight: 2,
    inject: ({ agents }, random) => suspend(pick(agents, random)),
  },
  {
    name: 'the line of an agent is cut and healed',
    weight: 3,
    async inject({ agents }, random) {
      const { line } = pick(agents, random);
      line.set('cut');
      await delay(200 + random() * LONGEST_CUT_MS);
      line.set('open');
    },
  },
  {
    name: 'answers to an agent are lost',
    weight: 3,
    async inject({ agents }, random) {
      const { line } = pick(agents, random);
      line.set('answers-lost');
      await delay(200 + random() * LONGEST_CUT_MS);
      line.set('open');
    },
  },
  { name: 'PostgreSQL crashes', weight: 2, inject: ({ postgres }) => postgres.crash() },
  { name: 'the users’ PostgreSQL crashes', weight: 1, inject: ({ effects }) => effects.crash() },
];

/** For a stage whose PostgreSQL lies on a small disk of its own. */
export const FULL_DISK: Fault = {
  name: 'the disk of PostgreSQL is full for a while',
  weight: 1,
  async inject({ postgres }, random) {
    const filler = join(dirname(postgres.directory), 'filler');
    const { bavail, bsize } = await statfs(dirname(postgres.directory));
    await writeFile(filler, Buffer.alloc(bavail * bsize)).catch(() => undefined);
    await delay(1_000 + random() * LONGEST_CUT_MS);
    await truncate(filler, 0);
    await postgres.revive();
  },
};

function pick<T>(from: readonly T[], random: () => number): T {
  const found = from[Math.floor(random() * from.length)];
  if (found === undefined) throw new Error('nothing to choose from');
  return found;
}

async function suspend(part: Part): Promise<void> {
  const pids = await familyOf(part.process().pid);
  for (const pid of pids) tell(pid, 'SIGSTOP');
  await delay(LEASE_MS * 1.5);
  for (const pid of pids) tell(pid, 'SIGCONT');
}

/** A fault by chance, the weightier ones more often. */
export function chooseFault(faults: readonly Fault[], random: () => number): Fault {
  const total = faults.reduce((sum, { weight }) => sum + weight, 0);
  let left = random() * total;
  for (const fault of faults) {
    left -= fault.weight;
    if (left < 0) return fault;
  }
  return pick(faults, random);
}

/** Numbers between 0 and 1 that a seed decides (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
