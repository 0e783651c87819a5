/** IO managers of a branch: they keep what the branch makes in a place of its own, never where production's is. */
import { PRODUCTION } from '../../domain/environment.ts';
import { type IoManager, kindOf } from './io.ts';

/** A manager that cannot keep environments apart. */
class SharedPlace extends Error {
  override readonly name = 'SharedPlace';
}

/**
 * The manager as it works for an environment.
 * @throws SharedPlace for a manager that has no other place
 */
export function ioIn(
  io: IoManager | null,
  environment: string | undefined,
  assetKey: string,
): IoManager | null {
  if (io === null || environment === undefined || environment === PRODUCTION) return io;
  if (io.inEnvironment) return io.inEnvironment(environment);
  throw new SharedPlace(
    `the IO manager of ${assetKey} (${kindOf(io)}) would keep what ${environment} makes where production's is: give it inEnvironment(environment), which returns a manager with a place of its own`,
  );
}
