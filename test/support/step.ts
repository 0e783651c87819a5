/** Running one step of the test command, and counting what vitest reports. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** How long a program that was told to end may take before it is killed. */
const GRACE_MS = 10_000;

/**
 * Runs a Node program in `cwd` with its output shown, without standard input.
 * @param limitMs it is ended after that time, which counts as a failure
 * @returns whether it ended with exit code 0
 */
export async function runProgram(
  cwd: string,
  args: readonly string[],
  env: Record<string, string | undefined>,
  limitMs: number,
): Promise<boolean> {
  const child = spawn(process.execPath, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const ended = once(child, 'exit');
  const limit = setTimeout(() => {
    console.error(`ended after its limit of ${limitMs / 1_000} s: ${args.join(' ')}`);
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), GRACE_MS).unref();
  }, limitMs);
  try {
    const [code] = (await ended) as [number | null];
    return code === 0;
  } finally {
    clearTimeout(limit);
  }
}

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

/**
 * Counts the tests of a vitest JSON report. A file that could not be loaded counts as one failure, and
 * so does a run that failed without saying where.
 */
export function countTests(report: string | undefined, ok: boolean): Counts {
  if (report === undefined) return { passed: 0, failed: 1, skipped: 0 };
  const data = JSON.parse(report) as VitestReport;
  const unloaded = data.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((result) => result.status === 'failed'),
  ).length;
  const failed = data.numFailedTests + unloaded;
  return {
    passed: data.numPassedTests,
    failed: failed === 0 && !ok ? 1 : failed,
    skipped: data.numPendingTests + data.numTodoTests,
  };
}
