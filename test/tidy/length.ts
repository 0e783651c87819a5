/** Limits on the length of files and functions: what does not fit has two purposes. */
import ts from 'typescript';
import {
  isCode,
  isTest,
  lineOf,
  type ProjectFile,
  syntaxOf,
  type Violation,
  walk,
} from './project.ts';

const MAX_FILE_LINES = 400;
const MAX_SVELTE_LINES = 250;
const MAX_FUNCTION_LINES = 70;
export const MAX_MEDIAN_FILE_LINES = 120;

/** Lines of a text; a final newline does not start another one. */
export function countLines(text: string): number {
  return text === '' ? 0 : text.replace(/\n$/, '').split('\n').length;
}

/** Code files over their limit. */
export function findLongFiles(files: readonly ProjectFile[]): Violation[] {
  return files.filter(isCode).flatMap(({ path, text }) => {
    const limit = path.endsWith('.svelte') ? MAX_SVELTE_LINES : MAX_FILE_LINES;
    const lines = countLines(text);
    return lines > limit ? [{ path, message: `has ${lines} lines, the limit is ${limit}` }] : [];
  });
}

/** Functions over the limit. A test file's `describe` is a heading and not counted. */
export function findLongFunctions(files: readonly ProjectFile[]): Violation[] {
  return files.filter(isCode).flatMap((file) => {
    const violations: Violation[] = [];
    walk(syntaxOf(file), (node) => {
      if (!ts.isFunctionLike(node) || (isTest(file) && isDescribeBody(node))) return;
      const lines = countLines(node.getText());
      if (lines <= MAX_FUNCTION_LINES) return;
      const message = `${functionName(node)} has ${lines} lines, the limit is ${MAX_FUNCTION_LINES}`;
      violations.push({ path: file.path, line: lineOf(node), message });
    });
    return violations;
  });
}

function isDescribeBody(node: ts.Node): boolean {
  return ts.isCallExpression(node.parent) && /^describe\b/.test(node.parent.expression.getText());
}

function functionName(node: ts.SignatureDeclaration): string {
  if (node.name) return node.name.getText();
  const { parent } = node;
  if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent)) {
    return parent.name.getText();
  }
  return 'a function';
}

/** The middle number of lines of all TypeScript and Svelte files. */
export function medianLines(files: readonly ProjectFile[]): number {
  const lines = files
    .filter(isCode)
    .map(({ text }) => countLines(text))
    .sort((a, b) => a - b);
  return lines[Math.floor(lines.length / 2)] ?? 0;
}
