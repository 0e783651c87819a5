/** Runs the children that read files, and finds out which file a child died of. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { WorkflowFile } from './files.ts';
import type { FileOutcome } from './load.ts';
import type { LoadLine, LoadOrder } from './load-child.ts';
import { moduleBeside } from './resolve-hook.ts';

const CHILD = fileURLToPath(moduleBeside('./load-child.ts'));

/** Limit on the start of a child, which takes long on a busy machine and is no file's fault. */
const START_LIMIT_MS = 60_000;

/** How much of what a child prints is kept for the message of its death. */
const MAX_TAIL = 500;

/** What became of a child: how far it came, and how it ended. */
interface ChildEnd {
  readonly outcomes: readonly FileOutcome[];
  /** File under way when it died; null where it did all. */
  readonly stuckAt: number | null;
  readonly reason: string;
}

/** Reads the files, in as many children as it takes. */
export async function readInChildren(
  files: readonly WorkflowFile[],
  all: readonly string[],
  limitMs: number,
): Promise<FileOutcome[]> {
  const outcomes: FileOutcome[] = [];
  let rest = files;
  while (rest.length > 0) {
    const end = await runChild({ files: rest, all }, limitMs);
    outcomes.push(...end.outcomes);
    const culprit = end.stuckAt === null ? undefined : rest[end.stuckAt];
    if (culprit === undefined) break;
    outcomes.push(await judgeAlone(culprit, all, limitMs, end.reason, rest.length > 1));
    rest = rest.slice(end.outcomes.length + 1);
  }
  return outcomes;
}

/** A child may die of what an earlier file left behind; so the file under way is read once more, alone. */
async function judgeAlone(
  file: WorkflowFile,
  all: readonly string[],
  limitMs: number,
  reason: string,
  hadCompany: boolean,
): Promise<FileOutcome> {
  const failed: FileOutcome = { file, definitions: [], error: reason };
  if (!hadCompany || reason.startsWith('its import took')) return failed;
  const end = await runChild({ files: [file], all }, limitMs);
  return end.outcomes[0] ?? failed;
}

function runChild(order: LoadOrder, limitMs: number): Promise<ChildEnd> {
  const child = spawn(process.execPath, [...nodeOptions(), CHILD], {
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
  });
  const tail = keepTail(child);
  const outcomes: FileOutcome[] = [];
  let stuckAt: number | null = 0;
  let late = false;
  const end = () => {
    late = true;
    child.kill('SIGKILL');
  };
  let timer = setTimeout(end, START_LIMIT_MS);
  const answers = createInterface({ input: child.stdio[3] as Readable });
  answers.on('line', (text) => {
    clearTimeout(timer);
    timer = setTimeout(end, limitMs);
    const line = JSON.parse(text) as LoadLine;
    if ('ready' in line) return;
    const file = order.files[line.end];
    if (file === undefined) return;
    const error = 'error' in line ? line.error : null;
    outcomes.push({ file, definitions: 'error' in line ? [] : line.definitions, error });
    stuckAt = outcomes.length < order.files.length ? outcomes.length : null;
  });
  // A child that died early does not read its order.
  child.stdin.on('error', () => undefined).end(JSON.stringify(order));
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      const reason = late
        ? `its import took longer than ${limitMs / 1_000} s`
        : `its import ended the process (${endOf(code, signal)})${code === UNSETTLED_AWAIT ? '' : tail()}`;
      resolve({ outcomes, stuckAt, reason });
    });
  });
}

/** Node warns of each file whose format it had to guess. */
function nodeOptions(): string[] {
  return [
    '--disable-warning=MODULE_TYPELESS_PACKAGE_JSON',
    '--disable-warning=ExperimentalWarning',
  ];
}

const UNSETTLED_AWAIT = 13;

function endOf(code: number | null, signal: NodeJS.Signals | null): string {
  if (code === UNSETTLED_AWAIT) return 'a top-level await never ended';
  return code === null ? `signal ${signal}` : `exit code ${code}`;
}

/** Users' code may print as much as it likes. */
function keepTail(child: ChildProcess): () => string {
  let tail = '';
  child.stdout?.resume();
  child.stderr?.setEncoding('utf8').on('data', (part: string) => {
    tail = (tail + part).slice(-MAX_TAIL);
  });
  return () => (tail.trim() === '' ? '' : `: ${tail.trim()}`);
}
