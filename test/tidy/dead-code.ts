/**
 * Code that nothing reaches. The product is what its entry points reach; what only a test reaches is
 * dead all the same, and its test keeps a corpse warm.
 */
import { posix } from 'node:path';
import ts from 'typescript';
import { isCode, lineOf, type ProjectFile, syntaxOf, type Violation, walk } from './project.ts';
import { referencesOf, resolveRelative } from './references.ts';

const PRODUCT_ENTRIES = [
  /^bin\//,
  /^server\/(main|dev)\.ts$/,
  /^server\/cli\/main\.ts$/,
  // Processes of the drills, started by the names of their modules.
  /^server\/drills\/faults\/[a-z]+(-client)?\.ts$/,
  /^orchestrator\/index\.ts$/,
  /^orchestrator\/agent\/main\.ts$/,
  /^collector\/embedded\/main\.ts$/,
  /^console\/src\/main\.ts$/,
  /^dashboards\/src\/main\.ts$/,
  // Workflow files are found by their folder, and so are their exports.
  /^examples\/|^server\/.*(workflows|templates)\//,
  /(^|\/)[a-z-]+\.config\.(ts|js)$/,
  /\.d\.ts$/,
];
const TEST_ENTRIES = [
  /\.test\.ts$/,
  /^test\/run\.ts$/,
  /^test\/faults\/long\.ts$/,
  /^test\/support\/global-setup\.ts$/,
  /^bench\/main\.ts$/,
];
const TEST_CODE = /^(test|bench)\//;

/** Code files that no entry point reaches. */
export function findDeadFiles(files: readonly ProjectFile[]): Violation[] {
  const code = new Map(files.filter(isCode).map((file) => [file.path, file]));
  const entries = (patterns: RegExp[]) =>
    [...code.keys()].filter((path) => patterns.some((pattern) => pattern.test(path)));
  const product = reach(code, entries(PRODUCT_ENTRIES));
  const all = reach(code, [...product, ...entries(TEST_ENTRIES)]);
  return [...code.keys()].flatMap((path) => {
    if (product.has(path) || (all.has(path) && TEST_CODE.test(path))) return [];
    const message = all.has(path)
      ? 'only tests reach it: no entry point of the product does'
      : 'no entry point reaches it';
    return [{ path, message }];
  });
}

function reach(code: Map<string, ProjectFile>, entries: Iterable<string>): Set<string> {
  const reached = new Set<string>();
  const open = [...entries];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const file = code.get(path);
    if (!file || reached.has(path)) continue;
    reached.add(path);
    open.push(...targetsOf(file, code));
  }
  return reached;
}

/**
 * Imports, and paths in string literals: a file that is started as a process, or loaded by its name,
 * is named by one, relative to the file that names it or to the project's root.
 */
function targetsOf(file: ProjectFile, code: Map<string, ProjectFile>): string[] {
  const named: string[] = [];
  for (const { specifier } of referencesOf(file)) {
    named.push(specifier === 'signalbox' ? 'orchestrator/index.ts' : specifier);
  }
  walk(syntaxOf(file), (node) => {
    if (ts.isStringLiteralLike(node) && /\.(ts|js|svelte)$/.test(node.text)) named.push(node.text);
  });
  return named.flatMap((name) => {
    const beside = posix.normalize(posix.join(posix.dirname(file.path), name));
    const found = [beside, posix.normalize(name)].flatMap((path) => candidates(path));
    return found.filter((path) => code.has(path));
  });
}

/** Built code names a module `.js` where the source has `.ts`. */
function candidates(path: string): string[] {
  return path.endsWith('.js') ? [path, `${path.slice(0, -3)}.ts`] : [path];
}

/** Functions, classes and constants that are exported and that no other file takes. */
export function findUnusedExports(files: readonly ProjectFile[]): Violation[] {
  const code = files.filter(isCode);
  const used = collectUses(code);
  return code.flatMap((file) => {
    const isEntry = [...PRODUCT_ENTRIES, ...TEST_ENTRIES].some((entry) => entry.test(file.path));
    const uses = used.get(file.path);
    if (isEntry || uses?.has('*')) return [];
    return exportedValues(file).flatMap(({ name, line }) =>
      uses?.has(name) ? [] : [{ path: file.path, line, message: `exports ${name}, unused` }],
    );
  });
}

function collectUses(code: readonly ProjectFile[]): Map<string, Set<string>> {
  const used = new Map<string, Set<string>>();
  for (const file of code) {
    for (const { specifier, names } of referencesOf(file)) {
      const target = resolveRelative(file.path, specifier);
      for (const path of target === undefined ? [] : candidates(target)) {
        const known = used.get(path) ?? new Set();
        used.set(path, known);
        for (const name of names) known.add(name);
      }
    }
  }
  return used;
}

function exportedValues(file: ProjectFile): { name: string; line: number }[] {
  return syntaxOf(file).statements.flatMap((statement) => {
    const line = lineOf(statement);
    if (ts.isExportAssignment(statement)) return [{ name: 'default', line }];
    if (!ts.canHaveModifiers(statement)) return [];
    const kinds = ts.getModifiers(statement)?.map(({ kind }) => kind) ?? [];
    if (!kinds.includes(ts.SyntaxKind.ExportKeyword)) return [];
    if (kinds.includes(ts.SyntaxKind.DefaultKeyword)) return [{ name: 'default', line }];
    if (ts.isVariableStatement(statement)) {
      return statement.declarationList.declarations.flatMap(({ name }) =>
        ts.isIdentifier(name) ? [{ name: name.text, line }] : [],
      );
    }
    const isValue = ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement);
    return isValue && statement.name ? [{ name: statement.name.text, line }] : [];
  });
}
