/** What a file refers to: other files of the project, and packages. */
import { posix } from 'node:path';
import ts from 'typescript';
import { lineOf, type ProjectFile, syntaxOf, walk } from './project.ts';

/** One `import`, `export … from`, `import()`, `require.resolve()` or the like. */
export interface Reference {
  /** As written. */
  readonly specifier: string;
  readonly line: number;
  /** True where only types are taken, so that nothing is left at run time. */
  readonly typeOnly: boolean;
  /** Exported names that are used; `'*'` stands for all of them. */
  readonly names: readonly string[];
}

const cache = new WeakMap<ProjectFile, Reference[]>();

/** All references of a file by module specifier. */
export function referencesOf(file: ProjectFile): Reference[] {
  let found = cache.get(file);
  if (!found) {
    found = [];
    const references = found;
    walk(syntaxOf(file), (node) => {
      const reference = fromDeclaration(node) ?? fromCall(node);
      if (reference) references.push({ ...reference, line: lineOf(node) });
    });
    cache.set(file, found);
  }
  return found;
}

function fromDeclaration(node: ts.Node): Omit<Reference, 'line'> | undefined {
  if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
    const clause = node.importClause;
    const typeOnly = clause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
    return { specifier: node.moduleSpecifier.text, typeOnly, names: importedNames(clause) };
  }
  if (
    ts.isExportDeclaration(node) &&
    node.moduleSpecifier &&
    ts.isStringLiteral(node.moduleSpecifier)
  ) {
    const clause = node.exportClause;
    const names =
      clause && ts.isNamedExports(clause)
        ? clause.elements.map((element) => (element.propertyName ?? element.name).text)
        : ['*'];
    return { specifier: node.moduleSpecifier.text, typeOnly: node.isTypeOnly, names };
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    const { literal } = node.argument;
    if (ts.isStringLiteral(literal)) {
      return { specifier: literal.text, typeOnly: true, names: ['*'] };
    }
  }
  return undefined;
}

function importedNames(clause: ts.ImportClause | undefined): string[] {
  if (!clause) return [];
  const names = clause.name ? ['default'] : [];
  const bindings = clause.namedBindings;
  if (bindings && ts.isNamespaceImport(bindings)) names.push('*');
  if (bindings && ts.isNamedImports(bindings)) {
    names.push(...bindings.elements.map((element) => (element.propertyName ?? element.name).text));
  }
  return names;
}

const LOADERS = new Set(['import', 'require', 'require.resolve', 'import.meta.resolve']);

function fromCall(node: ts.Node): Omit<Reference, 'line'> | undefined {
  if (!ts.isCallExpression(node)) return undefined;
  const [argument] = node.arguments;
  if (!argument || !ts.isStringLiteralLike(argument)) return undefined;
  const loads = LOADERS.has(node.expression.getText());
  return loads ? { specifier: argument.text, typeOnly: false, names: ['*'] } : undefined;
}

/** The project path that a relative specifier means, or undefined for a package. */
export function resolveRelative(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return posix.normalize(posix.join(posix.dirname(from), specifier));
}

/** `@scope/name` or `name` of a bare specifier; undefined for relative ones and `node:` modules. */
export function packageOf(specifier: string): string | undefined {
  if (/^(\.|\/|node:|#|\$|virtual:|https?:)/.test(specifier)) return undefined;
  const [first = '', second = ''] = specifier.split('/');
  return first.startsWith('@') ? `${first}/${second}` : first;
}
