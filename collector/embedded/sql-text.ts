/** Reading and writing SQL text: literals, and the tokens of ClickHouse's own canonical form. */
import { exception } from './exceptions.ts';

/** A string as a SQL literal. */
export function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/** A name as a SQL identifier. */
export function quoteName(name: string): string {
  return `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``;
}

/** A token: `name` is a word or a quoted identifier (unquoted here), `mark` a punctuation sign. */
export interface Token {
  readonly kind: 'name' | 'string' | 'number' | 'mark';
  readonly text: string;
  /** True for `"x"` and `` `x` ``: never a keyword. */
  readonly quoted: boolean;
  readonly start: number;
  readonly end: number;
}

const SPACE = /(?:\s|--[^\n]*(?:\n|$)|#[! ][^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)+/y;
const WORD = /[\p{L}_][\p{L}\p{N}_$]*/uy;
const NUMBER = /\d[\w.]*(?:(?<=[eEpP])[+-]\d+)?/y;
const MARK = /[-+*/%=<>!(){}[\],.;:?@|^&~$#\\]/y;

/**
 * Splits SQL into tokens, one at a time, so that a text which ends in data need not be read to its end.
 * @throws ClickHouseException SYNTAX_ERROR at what is no token
 */
export function* tokens(sql: string, from = 0): Generator<Token> {
  let at = from;
  while (true) {
    at = matchEnd(SPACE, sql, at) ?? at;
    if (at >= sql.length) return;
    const token = readToken(sql, at);
    yield token;
    at = token.end;
  }
}

function readToken(sql: string, start: number): Token {
  const first = sql.charAt(start);
  if (first === "'" || first === '"' || first === '`') return readQuoted(sql, start, first);
  if (first === '$') {
    const heredoc = readHeredoc(sql, start);
    if (heredoc) return heredoc;
  }
  for (const [kind, pattern] of [
    ['name', WORD],
    ['number', NUMBER],
    ['mark', MARK],
  ] as const) {
    const end = matchEnd(pattern, sql, start);
    if (end !== undefined) {
      return { kind, text: sql.slice(start, end), quoted: false, start, end };
    }
  }
  throw exception('SYNTAX_ERROR', `Unrecognized token at position ${start + 1}: ${first}.`);
}

function readQuoted(sql: string, start: number, sign: string): Token {
  let text = '';
  for (let at = start + 1; at < sql.length; at += 1) {
    const char = sql.charAt(at);
    if (char === '\\') {
      at += 1;
      text += sql.charAt(at);
    } else if (char !== sign) {
      text += char;
    } else if (sql.charAt(at + 1) === sign) {
      at += 1;
      text += sign;
    } else {
      const kind = sign === "'" ? 'string' : 'name';
      return { kind, text, quoted: true, start, end: at + 1 };
    }
  }
  throw exception('SYNTAX_ERROR', `The quote at position ${start + 1} is never closed.`);
}

function readHeredoc(sql: string, start: number): Token | undefined {
  const tag = /\$\w*\$/y;
  const open = matchEnd(tag, sql, start);
  if (open === undefined) return undefined;
  const close = sql.indexOf(sql.slice(start, open), open);
  if (close < 0) return undefined;
  const end = close + (open - start);
  return { kind: 'string', text: sql.slice(open, close), quoted: true, start, end };
}

function matchEnd(pattern: RegExp, text: string, at: number): number | undefined {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : undefined;
}

/** True when the token is this keyword. */
export function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === 'name' && !token.quoted && token.text.toUpperCase() === word;
}

/** True when the token is this sign. */
export function isMark(token: Token | undefined, mark: string): boolean {
  return token?.kind === 'mark' && token.text === mark;
}
