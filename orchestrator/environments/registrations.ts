/** Registration of agents of an environment: what they define gets names of its own, and what those need is made. */
import type { RegisterReply, RegisterRequest } from '../../domain/agent-protocol.ts';
import { isReservedName, prefixOf } from '../../domain/environment.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/time.ts';
import { poolsNamed } from '../catalog/pools.ts';
import { versionOf } from '../catalog/register.ts';
import type { Db } from '../store/connection.ts';
import {
  copyPartitionLists,
  copyPools,
  findEnvironment,
  replaceDefinitions,
  touchEnvironment,
} from '../store/environment.ts';
import { settingsOf } from './known.ts';
import { dynamicListsOf, qualifyRegistration } from './qualify.ts';

export interface Registrations {
  /**
   * @param inner registers what is qualified
   * @throws SignalboxError `forbidden` where there is no such environment: the agent gives up
   */
  register(
    environment: string,
    request: RegisterRequest,
    inner: (request: RegisterRequest) => Promise<RegisterReply>,
  ): Promise<RegisterReply>;
}

export function createRegistrations(deps: {
  readonly db: Db;
  readonly clock: Clock;
  endSession(sessionId: string): Promise<void>;
}): Registrations {
  const { db, clock } = deps;
  return {
    async register(name, request, inner) {
      const { environment: _, ...plain } = request;
      const row = await requireActive(db, name);
      refuseReserved(plain);
      const { definitions, fileErrors } = plain;
      const settings = settingsOf(row);
      const now = new Date(clock.now());
      await db.transaction(async (tx) => {
        await touchEnvironment(tx, name, now);
        if (definitions.length === 0 && fileErrors.length === 0) return;
        const registered = definitions.map((definition) => ({
          ...{ name: definition.name, version: versionOf(definition), definition },
        }));
        await replaceDefinitions(tx, name, plain.name, unique(registered), now);
        await copyPartitionLists(tx, prefixOf(name), dynamicListsOf(definitions), now);
        if (!settings.sharedPools) await copyPools(tx, prefixOf(name), poolsNamed(definitions));
      });
      const reply = await inner(qualifyRegistration({ name, settings }, plain));
      // It may have been deleted meanwhile.
      await requireActive(db, name).catch(async (error: unknown) => {
        await deps.endSession(reply.sessionId);
        throw error;
      });
      return reply;
    },
  };
}

async function requireActive(db: Db, name: string) {
  const row = await findEnvironment(db, name);
  if (row?.state === 'active') return row;
  const state = row ? 'is being deleted' : 'does not exist';
  throw new SignalboxError(
    'forbidden',
    `the environment ${name} ${state}: make it with signalbox environments create ${name}`,
  );
}

function refuseReserved({ name, queues, definitions }: RegisterRequest): void {
  const found = [name, ...queues, ...definitions.map((one) => one.name)].find(isReservedName);
  if (found === undefined) return;
  throw new SignalboxError(
    'invalid-request',
    `${JSON.stringify(found)} begins with ~: give plain names, the environment is put in front`,
  );
}

/** Of a name that two files define the first one counts, as in production. */
function unique<T extends { readonly name: string }>(all: readonly T[]): readonly T[] {
  return [...new Map(all.toReversed().map((one) => [one.name, one])).values()];
}
