/**
 * What a statement is, read from the engine's own canonical form of it (`formatQuery`): one statement,
 * no comments, keywords in capitals, names quoted only where they must be.
 */
import { exception } from './exceptions.ts';
import { isMark, isWord, quote, type Token, tokens } from './sql-text.ts';

/** A statement that the engine's parser has accepted. */
export interface Statement {
  /** The canonical text; this is what runs. */
  readonly text: string;
  readonly tokens: readonly Token[];
  /** First word: `SELECT`, `SHOW`, `CREATE`, … */
  readonly verb: string;
  /** The format named in a FORMAT clause. */
  readonly format: string | undefined;
  /** True when its result is rows, which can be told piece by piece. */
  readonly givesRows: boolean;
}

const WITH_ROWS = new Set([
  'SELECT',
  'WITH',
  'SHOW',
  'DESCRIBE',
  'DESC',
  'EXISTS',
  'EXPLAIN',
  'CHECK',
]);

/**
 * Describes a statement.
 * @param canonical the engine's form of it; this is what runs
 * @param written the client's own text
 */
export function describeStatement(canonical: string, written: string): Statement {
  // The engine's form of SHOW FULL TABLES lacks the word.
  const isFull = canonical.startsWith('SHOW TABLES') && /^\s*SHOW\s+FULL\s/i.test(written);
  const text = isFull ? canonical.replace('SHOW', 'SHOW FULL') : canonical;
  const all = [...tokens(text)];
  const first = all.find((token) => !isMark(token, '('));
  const verb = first?.kind === 'name' && !first.quoted ? first.text.toUpperCase() : '';
  return {
    text,
    tokens: all,
    verb,
    format: formatClause(all)?.format,
    givesRows: WITH_ROWS.has(verb),
  };
}

/** Names of the parameters that the statement uses: `{name:Type}`. */
export function* usedParameters(statement: Statement): Generator<string> {
  for (const [at, token] of statement.tokens.entries()) {
    const isUse = isMark(statement.tokens[at - 1], '{') && isMark(statement.tokens[at + 1], ':');
    if (isUse && token.kind === 'name') yield token.text;
  }
}

/** `a = 1, b = 'x'`. */
export interface Assignments {
  readonly values: Map<string, string>;
  /** Index of the token after the last. */
  readonly next: number;
}

/**
 * Reads settings from a SET statement or a SETTINGS clause.
 * @throws ClickHouseException for values that are neither numbers, texts nor words
 */
export function readAssignments(all: readonly Token[], from: number): Assignments {
  const values = new Map<string, string>();
  let at = from;
  while (true) {
    const name = all[at];
    const isNegative = isMark(all[at + 2], '-');
    const value = all[at + (isNegative ? 3 : 2)];
    if (name?.kind !== 'name' || !isMark(all[at + 1], '=') || !value || value.kind === 'mark') {
      throw exception('BAD_ARGUMENTS', 'Settings must be of the form name = value.');
    }
    values.set(name.text, isNegative ? `-${value.text}` : value.text);
    at += isNegative ? 4 : 3;
    if (!isMark(all[at], ',')) return { values, next: at };
    at += 1;
  }
}

/**
 * A statement without the SETTINGS clause at its end, and what stood there.
 * @throws ClickHouseException for settings anywhere else: they would slip past every limit
 */
export function takeSettings(statement: Statement): [string, Map<string, string>] {
  const { tokens: all, text } = statement;
  for (const [at, token] of all.entries()) {
    const opens = all[at + 1]?.kind === 'name' && isMark(all[at + 2], '=');
    if (!isWord(token, 'SETTINGS') || !opens) continue;
    const { values, next } = readAssignments(all, at + 1);
    const after = all[next];
    if (after !== undefined && !isWord(after, 'FORMAT')) {
      throw exception('ACCESS_DENIED', 'SETTINGS may stand only at the end of the query.');
    }
    for (const name of values.keys()) {
      // It would stand for another name than the one that has been judged.
      if (!name.startsWith('param_')) continue;
      throw exception('ACCESS_DENIED', 'Parameters cannot be given in SETTINGS.');
    }
    return [`${text.slice(0, token.start)}${after ? text.slice(after.start) : ''}`, values];
  }
  return [text, new Map()];
}

/** The statement with its result going into a file, in a format that is given when it names none. */
export function intoFile(text: string, path: string, format: string): string {
  const clause = formatClause([...tokens(text)]);
  const end = clause?.start ?? text.length;
  const rest = clause ? text.slice(end) : `FORMAT ${format}`;
  return `${text.slice(0, end).trimEnd()}\nINTO OUTFILE ${quote(path)} APPEND\n${rest}`;
}

/** FORMAT stands at the end, followed at most by a SETTINGS clause. */
function formatClause(all: readonly Token[]): { start: number; format: string } | undefined {
  let depth = 0;
  for (let at = all.length - 2; at >= 0; at -= 1) {
    const token = all[at];
    if (isMark(token, ')')) depth += 1;
    if (isMark(token, '(')) depth -= 1;
    if (depth < 0) return undefined;
    // Only the clause is written in capitals; a column `format` is not.
    if (depth > 0 || token?.text !== 'FORMAT' || !isWord(token, 'FORMAT')) continue;
    const name = all[at + 1];
    const after = all[at + 2];
    const ends = after === undefined || isWord(after, 'SETTINGS') || isMark(after, ';');
    if (name?.kind === 'name' && ends) return { start: token.start, format: name.text };
  }
  return undefined;
}
