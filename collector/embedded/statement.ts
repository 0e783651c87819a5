/**
 * What a statement is, read from the engine's own canonical form of it (`formatQuery`): one statement,
 * no comments, keywords in capitals, names quoted only where they must be.
 */
import { isMark, isWord, type Token, tokens } from './sql-text.ts';

/** A statement that the engine's parser has accepted. */
export interface Statement {
  /** The canonical text; this is what runs. */
  readonly text: string;
  readonly tokens: readonly Token[];
  /** First word: `SELECT`, `SHOW`, `CREATE`, … */
  readonly verb: string;
  /** The format named in a FORMAT clause. */
  readonly format: string | undefined;
  /** True when it gives rows one block after the other. */
  readonly isSelect: boolean;
}

/** Describes a canonical text. */
export function describeStatement(text: string): Statement {
  const all = [...tokens(text)];
  const first = all.find((token) => !isMark(token, '('));
  const verb = first?.kind === 'name' && !first.quoted ? first.text.toUpperCase() : '';
  return {
    text,
    tokens: all,
    verb,
    format: formatOf(all),
    isSelect: verb === 'SELECT' || (verb === 'WITH' && all.some((token) => isWord(token, 'SELECT'))),
  };
}

/** FORMAT stands at the end, followed at most by a SETTINGS clause. */
function formatOf(all: readonly Token[]): string | undefined {
  let depth = 0;
  for (let at = all.length - 2; at >= 0; at -= 1) {
    const token = all[at];
    if (isMark(token, ')')) depth += 1;
    if (isMark(token, '(')) depth -= 1;
    if (depth < 0) return undefined;
    if (depth > 0 || !isWord(token, 'FORMAT')) continue;
    const name = all[at + 1];
    const after = all[at + 2];
    const ends = after === undefined || isWord(after, 'SETTINGS') || isMark(after, ';');
    if (name?.kind === 'name' && ends) return name.text;
  }
  return undefined;
}
