/** Rows of environments, kept in mind for a moment: each call of a branch's agent asks for its own. */
import { DEFAULT_SETTINGS, type EnvironmentSettings } from '../../domain/environment.ts';
import type { Clock } from '../../domain/time.ts';
import type { Db } from '../store/connection.ts';
import { type EnvironmentRow, findEnvironment } from '../store/environment.ts';

const FRESH_MS = 1_000;
const MAX_KNOWN = 10_000;

export interface KnownEnvironments {
  /** Its settings while it is active; null where it is not there, or being deleted. */
  settings(name: string): Promise<EnvironmentSettings | null>;
  forget(name: string): void;
}

export function createKnownEnvironments(db: Db, clock: Clock): KnownEnvironments {
  const known = new Map<string, { at: number; row: EnvironmentRow | undefined }>();
  return {
    async settings(name) {
      let found = known.get(name);
      if (!found || Math.abs(clock.now() - found.at) > FRESH_MS) {
        if (known.size >= MAX_KNOWN) known.clear();
        found = { at: clock.now(), row: await findEnvironment(db, name) };
        known.set(name, found);
      }
      const { row } = found;
      return row?.state === 'active' ? settingsOf(row) : null;
    },
    forget: (name) => void known.delete(name),
  };
}

export function settingsOf({ settings }: Pick<EnvironmentRow, 'settings'>): EnvironmentSettings {
  return { ...DEFAULT_SETTINGS, ...settings };
}
