/** Schedules as users write them: a cron expression or a preset, in a timezone. */
import { Cron } from 'croner';
import type { WorkflowDefinition } from '../../domain/agent-protocol.ts';
import { DefinitionError, flag, type Read } from './options.ts';

const zones = new Map<string, boolean>();
const crons = new Set<string>();

export const cron: Read<string> = (value) => {
  if (typeof value !== 'string') throw new DefinitionError('must be a cron expression');
  // Thousands of workflows share few schedules.
  if (crons.has(value)) return value;
  try {
    new Cron(value, { paused: true });
    crons.add(value);
    return value;
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new DefinitionError(
      `${JSON.stringify(value)} is not a cron expression such as "0 2 * * *" or "@daily" (${detail})`,
    );
  }
};

const timezone: Read<string> = (value = 'UTC') => {
  if (typeof value === 'string' && isZone(value)) return value;
  throw new DefinitionError(
    `${JSON.stringify(value)} is not a timezone such as "UTC" or "Europe/Berlin"`,
  );
};

function isZone(value: string): boolean {
  const known = zones.get(value);
  if (known !== undefined) return known;
  let valid = true;
  try {
    new Intl.DateTimeFormat('en', { timeZone: value });
  } catch {
    valid = false;
  }
  zones.set(value, valid);
  return valid;
}

export interface ScheduleOptions {
  /** Cron expression or preset (`@hourly`, `@daily` …). */
  readonly schedule?: string;
  /** IANA name; UTC unless told. */
  readonly timezone?: string;
  /** Whether intervals that were missed are made up for; false unless told. */
  readonly catchup?: boolean;
}

export const scheduleReaders = {
  schedule: ((value) => (value === undefined || value === null ? null : cron(value))) as Read<
    string | null
  >,
  timezone,
  catchup: flag(false),
};

export function scheduleOf(read: {
  schedule: string | null;
  timezone: string;
  catchup: boolean;
}): WorkflowDefinition['schedule'] {
  if (read.schedule === null) return null;
  return { cron: read.schedule, timezone: read.timezone, catchup: read.catchup };
}
