/**
 * First tasks of new runs go straight to claims that wait in this server: they stand as running in their run's row
 * from its first moment, and no claim has to find them.
 */
import type { RunInfos } from '../runs/run-info.ts';
import type { Db } from '../store/connection.ts';
import type { HeldEntry } from '../store/held.ts';
import type { HeldLiveRun } from '../store/run-live.ts';
import { type Giving, openGiving, type Slots } from './giving.ts';
import type { LiveRuns } from './live-runs.ts';
import { type Offer, toAssignment } from './offer.ts';
import type { Tokens } from './tokens.ts';

/** What one transaction hands on of the runs that it makes. */
export interface Handing {
  readonly giving: Giving;
  nextToken(): string;
  /** Whether tasks of the queue must be claimed. */
  isLimited(queue: string): boolean;
  readonly handed: { readonly offer: Offer; readonly runId: string; readonly entry: HeldEntry }[];
  readonly runs: Omit<HeldLiveRun, 'xmin'>[];
  /** `xmin` of what the transaction writes. */
  xid: string;
}

export interface HandRuns {
  open(): Promise<Handing>;
  /** After the commit: tells the agents. */
  committed(handing: Handing): void;
  /** After a rollback: its slots are free again. */
  undone(handing: Handing): void;
}

export function createHandRuns(deps: {
  readonly db: Db;
  readonly slots: Slots;
  readonly tokens: Tokens;
  readonly infos: RunInfos;
  readonly live: LiveRuns;
  isLimited(queue: string): boolean;
}): HandRuns {
  const { tokens, isLimited } = deps;
  return {
    async open() {
      await tokens.ensure(deps.db);
      const nextToken = () => tokens.next();
      return {
        giving: openGiving(deps.slots),
        nextToken,
        isLimited,
        handed: [],
        runs: [],
        xid: '',
      };
    },
    committed({ giving, handed, runs, xid }) {
      for (const { offer, runId, entry } of handed) {
        const info = deps.infos.get(runId);
        const task = info?.version.tasks[entry.task];
        if (info && task) offer.assignments.push(toAssignment(info, task, 1, entry.token));
      }
      for (const run of runs) deps.live.set({ ...run, xmin: xid });
      giving.settle();
    },
    undone({ giving, handed, runs }) {
      handed.length = 0;
      runs.length = 0;
      giving.giveBack();
    },
  };
}
