/**
 * The child process that reads workflow files for `load.ts`, one after the other. It tells of each in a write that is
 * done when it returns: where the process dies or hangs, its parent knows which file did it.
 */
import { readFileSync, writeSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import type { WorkflowDefinition } from '../../domain/agent-protocol.ts';
import { checkSchema } from './check-schema.ts';
import { registeredIn } from './code-versions.ts';
import { recordPlaces } from './definition.ts';
import type { WorkflowFile } from './files.ts';
import { importFile, isMadeIn } from './import-file.ts';
import { DefinitionError } from './options.ts';

/** What the parent writes to standard input. */
export interface LoadOrder {
  readonly files: readonly WorkflowFile[];
  /** All workflow files there are, as paths. */
  readonly all: readonly string[];
}

/** What the child answers, one JSON text a line. */
export type LoadLine =
  /** The child is up, and `signalbox` is in memory: from here on time counts against the files. */
  | { readonly ready: true }
  | { readonly end: number; readonly definitions: readonly WorkflowDefinition[] }
  | { readonly end: number; readonly error: string };

const ANSWERS = 3;
const STACK_FRAMES = 30;

function tell(line: LoadLine): void {
  writeSync(ANSWERS, `${JSON.stringify(line)}\n`);
}

async function main(): Promise<void> {
  Error.stackTraceLimit = STACK_FRAMES;
  // A promise that a file left behind must not end the reading of the others.
  process.on('unhandledRejection', () => undefined);
  process.on('uncaughtException', () => undefined);
  const order = JSON.parse(await text(process.stdin)) as LoadOrder;
  await import('../index.ts');
  tell({ ready: true });
  const all = new Set(order.all.map((path) => pathToFileURL(path).href));
  for (const [index, file] of order.files.entries()) {
    try {
      tell({ end: index, definitions: await read(file, all) });
    } catch (error) {
      tell({ end: index, error: describe(error, file.path) });
    }
  }
  process.exit(0);
}

async function read(
  file: WorkflowFile,
  all: ReadonlySet<string>,
): Promise<readonly WorkflowDefinition[]> {
  const places = recordPlaces();
  const before = places.length;
  const { definitions, hasDefault } = await importFile(file.path, 0);
  const own = definitions.filter((definition) => isMadeIn(definition, file.path, all));
  if (own.length === 0) refuseUnexported(places.slice(before), file.path);
  if (definitions.length === 0 && hasDefault) refuseOtherDefault(file.path);
  return own.map((definition) => {
    checkSchema(definition);
    return registeredIn(file.shown, definition);
  });
}

/** A file that defines something and exports none of it would be passed over in silence. */
function refuseUnexported(places: readonly string[], path: string): void {
  const url = pathToFileURL(path).href;
  const made = places.find((stack) => stack.includes(url));
  if (made === undefined) return;
  const error = new DefinitionError(
    'it defines something and exports none of it: write "export default" or "export const NAME =" before it',
  );
  error.stack = made;
  throw error;
}

const USES_SIGNALBOX = /^\s*import\s(?!type\b)[^;]*?from\s*['"]signalbox['"]/m;

/** A file of helpers may export what it likes; one that imports what definitions are made with meant to define something. */
function refuseOtherDefault(path: string): void {
  if (!USES_SIGNALBOX.test(readFileSync(path, 'utf8'))) return;
  throw new DefinitionError(
    'its default export is no workflow, flow, asset, sensor or check: export what one of these functions gives',
  );
}

/** Message and place of an error, as who wrote the file needs it. */
function describe(error: unknown, path: string): string {
  if (!(error instanceof Error)) return `it threw ${String(error)}`;
  const url = pathToFileURL(path).href;
  const place = error.stack?.split('\n').find((line) => line.includes(url));
  const at = place === undefined ? null : /:(\d+(?::\d+)?)\)?\s*$/.exec(place);
  const name = error.name === 'DefinitionError' ? '' : `${error.name}: `;
  return `${name}${error.message}${at === null ? '' : ` (line ${at[1]})`}`;
}

await main();
