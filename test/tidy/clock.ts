/** Time and the process are passed in: logic that reads them cannot be drilled or back-tested. */
import ts from 'typescript';
import { isCode, lineOf, type ProjectFile, syntaxOf, type Violation, walk } from './project.ts';

const LOGIC = /^(domain|orchestrator|incidents|runbooks)\//;
const CLOCK_FILE = 'domain/time.ts';

/** Reads of the wall clock in logic, and of the process in `domain/`. */
export function findAmbientReads(files: readonly ProjectFile[]): Violation[] {
  const logic = files.filter(
    (file) => isCode(file) && LOGIC.test(file.path) && file.path !== CLOCK_FILE,
  );
  return logic.flatMap((file) => {
    const violations: Violation[] = [];
    walk(syntaxOf(file), (node) => {
      const message = ambientRead(node, file.path);
      if (message) violations.push({ path: file.path, line: lineOf(node), message });
    });
    return violations;
  });
}

function ambientRead(node: ts.Node, path: string): string | undefined {
  if (isDate(node, ts.isNewExpression) && (node.arguments?.length ?? 0) === 0) {
    return 'reads the wall clock with new Date(): take a Clock';
  }
  if (isDate(node, ts.isCallExpression)) return 'reads the wall clock with Date(): take a Clock';
  if (!ts.isPropertyAccessExpression(node) || !ts.isIdentifier(node.expression)) return undefined;
  const owner = node.expression.text;
  if (owner === 'Date' && node.name.text === 'now') {
    return 'reads the wall clock with Date.now(): take a Clock';
  }
  if (owner === 'process' && path.startsWith('domain/')) {
    return 'reads the process: domain/ is pure';
  }
  return undefined;
}

function isDate<T extends ts.NewExpression | ts.CallExpression>(
  node: ts.Node,
  kind: (node: ts.Node) => node is T,
): node is T {
  return kind(node) && ts.isIdentifier(node.expression) && node.expression.text === 'Date';
}
