/**
 * What a benchmark says: a line for each figure, or with `--json` one document at the end; and on a terminal how far
 * it is. Progress goes to standard error, figures to standard output.
 */
import { availableParallelism, loadavg, totalmem } from 'node:os';
import { progressBar } from '../server/progress-bar.ts';
import { VERSION } from '../server/version.ts';

/** Numbers of a figure, with their units in their names. */
type Values = Readonly<Record<string, number | string | boolean | null>>;

export interface Report {
  /** One figure: `title: text`. `values` is what `--json` gives of it. */
  figure(title: string, text: string, values: Values): void;
  /** A remark on how it was measured, or why something was not. */
  note(text: string): void;
  /** How far a step is; shown on a terminal only. */
  progress(step: string, done: number, total: number): void;
  /** Takes the progress away, and prints the document of `--json`. */
  end(): void;
}

const REDRAW_EVERY_MS = 100;

export function createReport(bench: string, json: boolean): Report {
  const figures: object[] = [];
  const notes: string[] = [];
  const startedAt = new Date().toISOString();
  const loadAtStart = loadavg();
  const bar = progressBar(process.stderr);
  let drawnAt = 0;
  const line = (text: string) => {
    bar.clear();
    if (!json) console.log(`${bench}: ${text}`);
  };
  return {
    figure(title, text, values) {
      line(`${title}: ${text}`);
      figures.push({ title, ...values });
    },
    note(text) {
      line(text);
      notes.push(text);
    },
    progress(step, done, total) {
      const now = performance.now();
      if (done < total && now - drawnAt < REDRAW_EVERY_MS) return;
      drawnAt = now;
      const share = total > 0 ? Math.min(1, done / total) : 1;
      bar.draw(share, `${Math.floor(share * 100)} %  ${step}`);
    },
    end() {
      bar.clear();
      if (!json) return;
      const machine = { cores: availableParallelism(), memoryBytes: totalmem() };
      const load = { atStart: loadAtStart, atEnd: loadavg() };
      console.log(
        JSON.stringify({ bench, version: VERSION, startedAt, machine, load, figures, notes }),
      );
    },
  };
}

/** The value at or below which that share of them lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * share) - 1] ?? sorted[0] ?? Number.NaN;
}

/** As text: median and the 99th of a hundred. */
export function quantiles(valuesMs: readonly number[]): string {
  return `p50 ${quantile(valuesMs, 0.5).toFixed(1)} ms, p99 ${quantile(valuesMs, 0.99).toFixed(1)} ms`;
}

/** The same two as values of a figure. */
export function quantileValues(valuesMs: readonly number[]) {
  return { p50Ms: quantile(valuesMs, 0.5), p99Ms: quantile(valuesMs, 0.99) };
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Whole, with thousands apart. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}

/** As text with a unit. */
export function mebibytes(bytes: number): string {
  return `${count(bytes / 2 ** 20)} MiB`;
}
