/**
 * What a user may ask at all, judged on the engine's canonical text before it runs. The engine's own
 * rights stand behind this; but they leave holes in an engine in process: a scalar function that reads
 * files, system tables that are open to everyone, files written by `INTO OUTFILE`, and `SET ROLE`.
 * For `reader` only what is listed goes through.
 */
import { READER_SYSTEM_TABLES, type User } from './access.ts';
import { type ClickHouseException, exception } from './exceptions.ts';
import { isMark, isWord, type Token } from './sql-text.ts';
import type { Statement } from './statement.ts';

/** Statements of `reader`, by their first word. */
const READER_VERBS = new Set([
  'SELECT',
  'WITH',
  'SHOW',
  'DESCRIBE',
  'DESC',
  'EXPLAIN',
  'EXISTS',
  'USE',
  'SET',
]);

/** What `reader` may let itself be shown. */
const READER_SHOWS = new Set([
  'DATABASES',
  'TABLES',
  'FULL',
  'EXTENDED',
  'COLUMNS',
  'CREATE',
  'INDEXES',
  'INDEX',
  'INDICES',
  'KEYS',
  'FUNCTIONS',
  'SETTINGS',
  'SETTING',
  'CHANGED',
  'ENGINES',
]);

/** `SHOW CREATE …` of these is about users, not data. */
const NOT_TO_SHOW = new Set([
  'USER',
  'ROLE',
  'QUOTA',
  'PROFILE',
  'SETTINGS',
  'POLICY',
  'ROW',
  'MASKING',
]);

/** Table functions that make rows out of nothing but their arguments. */
const READER_TABLE_FUNCTIONS = new Set([
  'format',
  'generate_series',
  'generaterandom',
  'generateseries',
  'null',
  'numbers',
  'numbers_mt',
  'primes',
  'values',
  'zeros',
  'zeros_mt',
]);

/** Table functions of `writer`: the same, and those that read its own tables. */
const WRITER_TABLE_FUNCTIONS = new Set([
  ...READER_TABLE_FUNCTIONS,
  'input',
  'loop',
  'merge',
  'mergetreeindex',
  'mergetreeprojection',
  'view',
]);

/** Engines of tables and databases that keep their data here and run nothing. */
const ENGINES =
  /^(?:\w*MergeTree|Memory|Null|Log|TinyLog|StripeLog|Set|Join|Buffer|Merge|View|MaterializedView|Atomic|Ordinary)$/;

const MAKING_VERBS = ['CREATE', 'ATTACH', 'REPLACE'];

/** Scalar functions that reach files, addresses or the server's own secrets. */
const FORBIDDEN_FUNCTIONS =
  /^(?:file|filesystem.*|catboostevaluate|ai[a-z]+|hascolumnintable|getmacro|getserversetting|getserverport|getclienthttpheader|globalvariable|showcertificate|(?:current|enabled|default)(?:roles|profiles)|__.*|addressto.*|zookeeper.*|generateserialid|naivebayes.*|evalmlmethod|regionto.*|regionin|regionhierarchy)$/;

/** Verbs that only read; all that a GET, or a request with `readonly`, may do. */
const READING_VERBS = new Set([...READER_VERBS, 'CHECK']);

/** What the engine knows. */
export interface KnownNames {
  readonly tableFunctions: ReadonlySet<string>;
}

/**
 * Lets a statement pass, or not.
 * @param parameters values of `param_x`, which may stand for names
 * @throws ClickHouseException ACCESS_DENIED or READONLY
 */
export function judge(
  user: User,
  statement: Statement,
  parameters: ReadonlyMap<string, string>,
  known: KnownNames,
): void {
  const { tokens, verb } = statement;
  refuseFiles(tokens);
  if (verb === 'SET' && !isPlainSet(tokens))
    throw denied('SET ROLE and the like are not for clients.');
  if (verb === 'EXECUTE') throw denied('EXECUTE AS is not for clients.');
  if (
    verb === 'SYSTEM' &&
    tokens.some((token) => isWord(token, 'SHUTDOWN') || isWord(token, 'KILL'))
  ) {
    throw denied('The server is not stopped by its clients.');
  }
  for (const name of calledNames(tokens)) {
    if (FORBIDDEN_FUNCTIONS.test(name)) throw denied(`The function ${name} cannot be used here.`);
  }
  const allowed = user === 'reader' ? READER_TABLE_FUNCTIONS : WRITER_TABLE_FUNCTIONS;
  for (const name of calledNames(tokens)) {
    if (known.tableFunctions.has(name) && !allowed.has(name)) {
      throw denied(`The table function ${name} is not for ${user}.`);
    }
  }
  judgeMaking(tokens);
  if (user === 'reader') judgeReader(statement, parameters);
}

/** Engines such as URL or MySQL would reach elsewhere; sources of dictionaries would run programs. */
function judgeMaking(tokens: readonly Token[]): void {
  const [first, second, third, fourth] = tokens;
  if (!MAKING_VERBS.some((verb) => isWord(first, verb))) return;
  const what = isWord(second, 'OR') ? fourth : second;
  if ([what, third].some((token) => isWord(token, 'DICTIONARY') || isWord(token, 'FUNCTION'))) {
    throw denied('Dictionaries and functions are not made by clients.');
  }
  for (const [at, token] of tokens.entries()) {
    const engine = tokens[at + 2];
    if (!isWord(token, 'ENGINE') || !isMark(tokens[at + 1], '=')) continue;
    if (engine?.kind !== 'name' || ENGINES.test(engine.text)) continue;
    throw denied(`The engine ${engine.text} is not for clients.`);
  }
}

/** @throws ClickHouseException READONLY when a request that may only read would change something */
export function judgeReadOnly(verb: string): void {
  if (READING_VERBS.has(verb)) return;
  throw exception(
    'READONLY',
    'Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. You should use method POST for modifying queries.',
  );
}

/** @throws ClickHouseException ACCESS_DENIED for a database whose tables `reader` may not name bare */
export function judgeDatabase(user: User, database: string): void {
  if (user === 'reader' && /^(?:system|information_schema)$/i.test(database)) {
    throw denied(`${database} cannot be the default database of reader: write ${database}.table.`);
  }
}

function judgeReader(statement: Statement, parameters: ReadonlyMap<string, string>): void {
  const { tokens, verb } = statement;
  if (!READER_VERBS.has(verb))
    throw denied(`reader can only read: ${verb || 'this'} is not allowed.`);
  if (verb === 'SHOW') judgeShow(tokens);
  if (verb === 'EXPLAIN' && !tokens.some((token) => isWord(token, 'SELECT'))) {
    throw denied('reader can only explain a SELECT.');
  }
  judgeSystemTables(tokens);
  judgeIdentifiers(tokens, parameters);
}

function judgeShow(tokens: readonly Token[]): void {
  const [, what, second] = tokens;
  if (what?.kind !== 'name' || !READER_SHOWS.has(what.text.toUpperCase())) {
    throw denied(`SHOW ${what?.text ?? ''} is not for reader.`);
  }
  const isAboutUsers = second?.kind === 'name' && NOT_TO_SHOW.has(second.text.toUpperCase());
  if (isWord(what, 'CREATE') && isAboutUsers && !second.quoted) {
    throw denied(`SHOW CREATE ${second.text} is not for reader.`);
  }
}

function judgeSystemTables(tokens: readonly Token[]): void {
  const allowed = new Set<string>(READER_SYSTEM_TABLES);
  for (const [at, token] of tokens.entries()) {
    if (token.kind !== 'name' || token.text.toLowerCase() !== 'system') continue;
    if (!isMark(tokens[at + 1], '.')) continue;
    const table = tokens[at + 2];
    if (table?.kind !== 'name' || !allowed.has(table.text)) {
      throw denied(`system.${table?.text ?? ''} is not for reader.`);
    }
  }
  const compound = tokens.find(
    (token) => token.kind === 'name' && /^system\s*\./i.test(token.text),
  );
  if (compound) throw denied(`${compound.text} is not for reader.`);
}

/** `{x:Identifier}` may stand for any name, so what it stands for is judged as well. */
function judgeIdentifiers(tokens: readonly Token[], parameters: ReadonlyMap<string, string>): void {
  for (const [at, token] of tokens.entries()) {
    if (!isWord(token, 'IDENTIFIER') || !isMark(tokens[at - 1], ':')) continue;
    const value = parameters.get(tokens[at - 2]?.text ?? '') ?? '';
    if (!/^\w+$/.test(value) || /^(?:system|information_schema)$/i.test(value)) {
      throw denied('The value of an Identifier parameter must be a plain name of data.');
    }
  }
}

/** Names that are called, or may be: `f(…)`, `APPLY f`, `APPLY(f)`. In lower case. */
function* calledNames(tokens: readonly Token[]): Generator<string> {
  for (const [at, token] of tokens.entries()) {
    if (token.kind !== 'name') continue;
    const before = isMark(tokens[at - 1], '(') ? tokens[at - 2] : tokens[at - 1];
    if (isMark(tokens[at + 1], '(') || isWord(before, 'APPLY')) yield token.text.toLowerCase();
  }
}

function refuseFiles(tokens: readonly Token[]): void {
  for (const [at, token] of tokens.entries()) {
    if (isWord(token, 'OUTFILE') && isWord(tokens[at - 1], 'INTO')) {
      throw denied('INTO OUTFILE is for command-line clients.');
    }
    if (isWord(token, 'INFILE') && isWord(tokens[at - 1], 'FROM')) {
      throw denied('FROM INFILE is for command-line clients.');
    }
  }
}

/** `SET a = …`: a name and then the sign; not `SET ROLE …`, `SET DEFAULT ROLE …`, `SET TRANSACTION …`. */
function isPlainSet(tokens: readonly Token[]): boolean {
  return isMark(tokens[2], '=');
}

function denied(message: string): ClickHouseException {
  return exception('ACCESS_DENIED', message);
}
