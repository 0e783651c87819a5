/**
 * What the tidy rules look at: the project's own text files, and the syntax trees of its code.
 * A rule is a pure function from files to violations, so that it can be shown bad input.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import ts from 'typescript';

/** One file; `path` is relative to the project's root, with forward slashes. */
export interface ProjectFile {
  readonly path: string;
  readonly text: string;
}

/** A broken rule, at a place that an editor can open. */
export interface Violation {
  readonly path: string;
  readonly line?: number;
  readonly message: string;
}

export const PROJECT_ROOT = join(import.meta.dirname, '..', '..');

const IGNORED_FOLDERS = new Set(['node_modules', 'dist', '.git', '.signalbox', 'coverage']);
const IGNORED_PATHS = new Set(['test/fixtures', 'package-lock.json', 'LICENSE']);
const TEXT = /\.(ts|js|mjs|svelte|html|css|sql|md|json|ya?ml|sh|py|go|mod)$|^\.ci\/|^\.[a-z]+$/;
const CODE = /\.(ts|js|svelte)$/;

/** Reads all text files of the project that people maintain: no fixtures, nothing generated. */
export function readProject(root: string = PROJECT_ROOT): ProjectFile[] {
  const files: ProjectFile[] = [];
  const visit = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const full = join(folder, entry.name);
      const path = relative(root, full).replaceAll('\\', '/');
      if (IGNORED_PATHS.has(path)) continue;
      if (entry.isDirectory() && !IGNORED_FOLDERS.has(entry.name)) visit(full);
      if (entry.isFile() && TEXT.test(path)) files.push({ path, text: readFileSync(full, 'utf8') });
    }
  };
  visit(root);
  return files.sort((a, b) => a.path.localeCompare(b.path));
}

/** Whether the file holds code that the rules on code read. */
export function isCode(file: ProjectFile): boolean {
  return CODE.test(file.path);
}

/** Whether the file is a test by its name. */
export function isTest(file: ProjectFile): boolean {
  return file.path.endsWith('.test.ts');
}

const trees = new WeakMap<ProjectFile, ts.SourceFile>();

/**
 * The syntax tree of a file. Of a Svelte file the markup is blanked out and its scripts stay, at their
 * own lines.
 */
export function syntaxOf(file: ProjectFile): ts.SourceFile {
  let tree = trees.get(file);
  if (!tree) {
    const text = file.path.endsWith('.svelte') ? scriptsOf(file.text) : file.text;
    const name = file.path.endsWith('.js') ? file.path : `${file.path}.ts`;
    tree = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true);
    trees.set(file, tree);
  }
  return tree;
}

function scriptsOf(svelte: string): string {
  let result = '';
  let end = 0;
  for (const match of svelte.matchAll(/<script\b[^>]*>([\s\S]*?)<\/script>/g)) {
    const start = match.index + match[0].indexOf('>') + 1;
    const code = match[1] ?? '';
    result += blank(svelte.slice(end, start)) + code;
    end = start + code.length;
  }
  return result + blank(svelte.slice(end));
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, ' ');
}

/** Calls `look` for every node of the tree, parents first. */
export function walk(node: ts.Node, look: (node: ts.Node) => void): void {
  look(node);
  ts.forEachChild(node, (child) => walk(child, look));
}

/** Line of a node, counted from 1. */
export function lineOf(node: ts.Node): number {
  const source = node.getSourceFile();
  return source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
}

/** Violations as text, one a line, for a test's message. */
export function describeViolations(violations: readonly Violation[]): string {
  return violations
    .map(({ path, line, message }) => `${path}${line === undefined ? '' : `:${line}`} ${message}`)
    .join('\n');
}
