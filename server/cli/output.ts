/** What commands print: a table or lines for people, the API's own JSON for programs (`--json`). */
import Table from 'cli-table3';
import { colors } from './colors.ts';

/** A column of a table: its heading, and the text of a row. */
export type Columns<T> = readonly (readonly [heading: string, text: (item: T) => unknown])[];

const BARE = {
  ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '' },
  ...{ bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' },
  ...{ left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '' },
  middle: '  ',
};

/** Lines of a table, or `empty` where there is nothing to show. */
export function renderTable<T>(items: readonly T[], columns: Columns<T>, empty: string): string {
  if (items.length === 0) return empty;
  const table = new Table({
    head: columns.map(([heading]) => colors.bold(heading)),
    chars: BARE,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  });
  for (const item of items) table.push(columns.map(([, text]) => show(text(item))));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** One thing as `name  value` lines. */
export function renderFields(fields: readonly (readonly [string, unknown])[]): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields
    .map(([name, value]) => `${colors.dim(name.padEnd(width))}  ${show(value)}`)
    .join('\n');
}

function show(value: unknown): string {
  if (value === null || value === undefined || value === '') return '–';
  if (typeof value === 'string') return printable(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return printable(JSON.stringify(value));
}

/**
 * Text without control characters, which could move the cursor or hide what follows; only the few colours that
 * commands use themselves stay.
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  const controls = /\u001b\[(?:1|2|22|3[1236]|39)m|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
  return text.replace(controls, (found) => (found.length > 1 ? found : '·'));
}

const SIGNS: Readonly<Record<string, (text: string) => string>> = {
  ...{ succeeded: colors.green, fresh: colors.green, online: colors.green, resolved: colors.green },
  ...{ running: colors.cyan, queued: colors.cyan, scheduled: colors.cyan, mitigating: colors.cyan },
  ...{ retrying: colors.yellow, warning: colors.yellow, late: colors.yellow },
  ...{ degraded: colors.yellow, mitigated: colors.yellow, acknowledged: colors.yellow },
  ...{ failed: colors.red, stale: colors.red, lost: colors.red, open: colors.red },
  ...{ critical: colors.red, error: colors.red },
};

/** A state in its colour. The word itself always stands there. */
export function state(word: string): string {
  return (SIGNS[word] ?? colors.dim)(printable(word));
}

/** `2026-11-24 03:14:07` in UTC. */
export function time(at: string | null): string {
  return at === null ? '–' : at.slice(0, 19).replace('T', ' ');
}

/** The time between two moments in words such as `4.2 s` or `3 min 5 s`. */
export function span(from: string | null, to: string | null): string {
  if (from === null || to === null) return '–';
  const seconds = (Date.parse(to) - Date.parse(from)) / 1_000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3_600)} h ${Math.round((seconds % 3_600) / 60)} min`;
}
