/**
 * Schedules by brute force: every minute (or second) of a stretch of time is looked at, the clock is asked what it
 * shows, and each part of the expression is compared. Slow, and with nothing in common with what it judges.
 */
import type { DstPolicies } from '../../../domain/schedule.ts';

const MINUTE_MS = 60_000;
/** Offsets of these years change on a quarter of an hour only. */
const QUARTER_MS = 15 * MINUTE_MS;

/** A cron expression as sets; null is `*`. Weekdays 0 (Sunday) – 6. */
export interface CronSets {
  readonly seconds: readonly number[];
  readonly minutes: readonly number[] | null;
  readonly hours: readonly number[] | null;
  readonly days: readonly number[] | null;
  readonly months: readonly number[] | null;
  readonly weekdays: readonly number[] | null;
}

export function cronText(sets: CronSets): string {
  const field = (numbers: readonly number[] | null) => (numbers === null ? '*' : numbers.join(','));
  const five = [sets.minutes, sets.hours, sets.days, sets.months, sets.weekdays].map(field);
  const plain = sets.seconds.length === 1 && sets.seconds[0] === 0;
  return [...(plain ? [] : [field(sets.seconds)]), ...five].join(' ');
}

/** What the clocks of a zone show in a stretch of time. */
export interface Walk {
  readonly from: number;
  readonly stepMs: number;
  /** What the clock shows at each step, as the milliseconds of the same date and time in UTC. */
  readonly locals: Float64Array;
}

export function walkClock(timezone: string, from: number, to: number, stepMs: number): Walk {
  const format = new Intl.DateTimeFormat('sv-SE', {
    ...{ timeZone: timezone, dateStyle: 'short', timeStyle: 'medium' },
  });
  const locals: number[] = [];
  for (let at = from; at < to; at += QUARTER_MS) {
    const local = Date.parse(`${format.format(at).replace(' ', 'T')}Z`);
    for (let more = 0; more < QUARTER_MS; more += stepMs) locals.push(local + more);
  }
  return { from, stepMs, locals: Float64Array.from(locals) };
}

/** For each number whether it is in the set; everything is in none at all. */
function members(numbers: readonly number[] | null): Uint8Array {
  return Uint8Array.from({ length: 60 }, (_, n) =>
    numbers === null || numbers.includes(n) ? 1 : 0,
  );
}

function shownBy(sets: CronSets): (local: number) => boolean {
  const [seconds, minutes, hours] = [sets.seconds, sets.minutes, sets.hours].map(members);
  const days = new Map<number, boolean>();
  const dayFits = (date: number) => {
    const known = days.get(date);
    if (known !== undefined) return known;
    const shown = new Date(date * 86_400_000);
    const month = sets.months === null || sets.months.includes(shown.getUTCMonth() + 1);
    const day = sets.days === null ? null : sets.days.includes(shown.getUTCDate());
    const weekday = sets.weekdays === null ? null : sets.weekdays.includes(shown.getUTCDay());
    const either =
      day !== null && weekday !== null ? day || weekday : (day ?? true) && (weekday ?? true);
    days.set(date, month && either);
    return month && either;
  };
  return (local) => {
    const second = local / 1_000;
    return (
      minutes?.[Math.floor(second / 60) % 60] === 1 &&
      hours?.[Math.floor(second / 3_600) % 24] === 1 &&
      seconds?.[second % 60] === 1 &&
      dayFits(Math.floor(second / 86_400))
    );
  };
}

/** All instants of the expression in the walk. */
export function bruteInstants(walk: Walk, sets: CronSets, policies: DstPolicies): number[] {
  const everyHour = sets.hours === null || new Set(sets.hours).size === 24;
  const { missing, duplicate } = everyHour ? { missing: 'shift', duplicate: 'both' } : policies;
  const shows = shownBy(sets);
  const times = new Map<number, number[]>();
  const shifted: number[] = [];
  let shownBefore = Number.NaN;
  for (let index = 0; index < walk.locals.length; index += 1) {
    const local = walk.locals[index] ?? 0;
    const at = walk.from + index * walk.stepMs;
    if (shows(local)) times.set(local, [...(times.get(local) ?? []), at]);
    // The clock jumped: what it did not show is counted on as if it had not.
    for (let gone = shownBefore + walk.stepMs; gone < local; gone += walk.stepMs) {
      if (shows(gone)) shifted.push(at + (gone - shownBefore - walk.stepMs));
    }
    shownBefore = local;
  }
  const kept = [...times.values()].flatMap((instants) => {
    if (instants.length === 1 || duplicate === 'both') return instants;
    if (duplicate === 'none') return [];
    return duplicate === 'first' ? instants.slice(0, 1) : instants.slice(-1);
  });
  const all = missing === 'shift' ? [...kept, ...shifted] : kept;
  return [...new Set(all)].sort((a, b) => a - b);
}
