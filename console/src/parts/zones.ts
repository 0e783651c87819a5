/**
 * Times on the clocks of a zone. People write a wall time; the API takes instants. A time that clocks jump over is
 * moved on by the jump, one that comes twice is the first of the two, as schedules have it.
 */

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known) return known;
  const made = new Intl.DateTimeFormat('sv-SE', {
    ...{ timeZone: zone, dateStyle: 'short', timeStyle: 'short' },
  });
  formats.set(zone, made);
  return made;
}

/** The zone of whoever looks. */
export function viewerZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** Wall time in a zone to the minute: `2026-03-01 01:00`. */
export function wallTime(atMs: number, zone: string): string {
  return formatOf(zone).format(atMs);
}

/**
 * The instant at which clocks of the zone show a wall time, in Unix milliseconds; null where the text is none.
 * @param wall `2026-03-01T01:00`, as a field of type `datetime-local` gives it
 */
export function instantOf(wall: string, zone: string): number | null {
  const asUtc = Date.parse(`${wall.slice(0, 16)}Z`);
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(wall) || Number.isNaN(asUtc)) return null;
  const offsetAt = (atMs: number) =>
    Date.parse(`${wallTime(atMs, zone).replace(' ', 'T')}Z`) - atMs;
  const before = offsetAt(asUtc - DAY_MS);
  const after = offsetAt(asUtc + DAY_MS);
  const shown = (atMs: number) => atMs + offsetAt(atMs) === asUtc;
  const found = [before, after].map((offset) => asUtc - offset).toSorted((a, b) => a - b);
  const hit = found.find(shown);
  // In a gap neither shows it: the offset from before the jump moves it on.
  return Math.floor((hit ?? asUtc - before) / MINUTE_MS) * MINUTE_MS;
}
