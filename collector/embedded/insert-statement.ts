/**
 * The head of an INSERT, up to where its data begins. The data may be huge and binary and is never
 * looked at here: it goes to the engine by way of a file.
 */
import { exception } from './exceptions.ts';
import { isMark, isWord, type Token, tokens } from './sql-text.ts';

/** An INSERT whose rows follow its text. */
export interface InsertHead {
  /** `INSERT INTO t (a, b)`. */
  readonly into: string;
  /** `SETTINGS …`, or nothing. */
  readonly settings: string;
  readonly format: string;
  /** Where the data begins, in bytes of the text that was read. */
  readonly dataOffset: number;
}

/** True when the text is an INSERT, whatever comments stand before it. */
export function isInsert(text: string): boolean {
  try {
    for (const token of tokens(text)) return isWord(token, 'INSERT');
  } catch {
    return false;
  }
  return false;
}

const NAME_FOLLOWS = ['INTO', 'TABLE', 'FORMAT'];

/**
 * Reads an INSERT's head.
 * @param bytes the beginning of the request, enough to hold the head
 * @returns undefined when the rows come from a SELECT
 */
export function readInsertHead(bytes: Uint8Array): InsertHead | undefined {
  // One character for each byte, so that positions count bytes.
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  let depth = 0;
  let previous: Token | undefined;
  let settingsAt: number | undefined;
  for (const token of tokens(text)) {
    if (isMark(token, '(')) depth += 1;
    if (isMark(token, ')')) depth -= 1;
    if (depth === 0 && previous !== undefined) {
      // A table may be called `values`; after INTO, TABLE and a dot there stands a name.
      const isName = NAME_FOLLOWS.some((word) => isWord(previous, word)) || isMark(previous, '.');
      if (!isName && (isWord(token, 'SELECT') || isWord(token, 'WITH'))) return undefined;
      if (isMark(token, ';')) {
        throw exception('SYNTAX_ERROR', 'The INSERT ends before its rows.');
      }
      if (isWord(token, 'FUNCTION') && isWord(previous, 'INTO')) {
        throw exception('ACCESS_DENIED', 'INSERT INTO FUNCTION is not for clients.');
      }
      if (isWord(token, 'INFILE') && isWord(previous, 'FROM')) {
        throw exception('NOT_IMPLEMENTED', 'INSERT … FROM INFILE is for command-line clients.');
      }
      if (!isName && isWord(token, 'SETTINGS')) settingsAt ??= token.start;
      if (!isName && isWord(token, 'VALUES')) {
        return head(bytes, [settingsAt ?? token.start, token.start], 'Values', token.end);
      }
      if (isWord(previous, 'FORMAT') && token.kind === 'name') {
        const parts = [settingsAt ?? previous.start, previous.start] as const;
        return head(bytes, parts, token.text, dataStart(text, token.end));
      }
    }
    previous = token;
  }
  throw exception('SYNTAX_ERROR', 'The INSERT names no FORMAT, no VALUES and no SELECT.');
}

function head(
  bytes: Uint8Array,
  [intoEnd, settingsEnd]: readonly [number, number],
  format: string,
  dataOffset: number,
): InsertHead {
  const text = (from: number, to: number) =>
    Buffer.from(bytes.subarray(from, to)).toString('utf8').trim();
  return { into: text(0, intoEnd), settings: text(intoEnd, settingsEnd), format, dataOffset };
}

/** After the format's name ClickHouse skips blanks and one line end. */
function dataStart(text: string, from: number): number {
  let at = from;
  while (text[at] === ' ' || text[at] === '\t' || text[at] === '\f') at += 1;
  if (text[at] === ';') at += 1;
  if (text[at] === '\r') at += 1;
  if (text[at] === '\n') at += 1;
  return at;
}
