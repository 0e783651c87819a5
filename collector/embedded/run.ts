/** Runs one judged statement on its connection and sends what comes out. */
import type { Engine, EngineConnection, EngineResult } from './engine.ts';
import { ClickHouseException, exception } from './exceptions.ts';
import type { Job } from './execute.ts';
import { canConcatenate, headerLength, repeatsHeader } from './formats.ts';
import { helloBlock, isHello } from './hello.ts';
import type { InsertHead } from './insert-statement.ts';
import type { ReplySummary } from './reply.ts';
import { judge, judgeDatabase, judgeGet } from './rules.ts';
import type { SessionState } from './sessions.ts';
import { setStatement, settingStatements } from './settings.ts';
import { quote, quoteName } from './sql-text.ts';
import { describeStatement, readAssignments, type Statement, takeSettings } from './statement.ts';

const DEFAULT_FORMAT = 'TabSeparated';
const EMPTY: ReplySummary = {
  readRows: 0,
  readBytes: 0,
  writtenRows: 0,
  writtenBytes: 0,
  resultRows: 0,
  resultBytes: 0,
  elapsedSeconds: 0,
};

/** Runs an INSERT whose rows lie in a file. */
export async function runInsert(
  engine: Engine,
  job: Job,
  state: SessionState,
  rows: { head: InsertHead; path: string },
): Promise<void> {
  const { into, settings, format } = rows.head;
  await open(engine, job, state, new Map());
  const result = await state.connection.run(
    `${into} FROM INFILE ${quote(rows.path)} COMPRESSION 'none' ${settings} FORMAT ${format}`,
    DEFAULT_FORMAT,
  );
  await job.reply.end({
    ...EMPTY,
    readRows: result.rowsRead,
    readBytes: result.bytesRead,
    writtenRows: result.rowsRead,
    writtenBytes: result.bytesRead,
    elapsedSeconds: result.elapsedSeconds,
  });
}

/** Runs any other statement. */
export async function runStatement(
  engine: Engine,
  job: Job,
  state: SessionState,
  text: string,
): Promise<void> {
  const { protocol, reply, user, request } = job;
  if (isHello(text, protocol.settings.get('client_protocol_version'))) {
    reply.format('Native');
    await reply.write(helloBlock(engine));
    return reply.end({ ...EMPTY, resultRows: 1 });
  }
  const statement = describeStatement(await canonical(state.connection, text));
  if (request.method === 'GET' || request.method === 'HEAD') judgeGet(statement);
  judge(user, statement, parametersOf(job, state), engine);
  if (statement.verb === 'SET') return applySet(job, state, statement);
  if (statement.verb === 'USE') return applyUse(engine, job, state, statement);
  // The engine lets no setting through on a reader's connection: those that may be are set beforehand.
  const [sql, own] = user === 'reader' ? takeSettings(statement) : [statement.text, new Map()];
  await open(engine, job, state, own);
  const format = formatOf(statement, protocol.defaultFormat);
  if (givesRows(statement)) reply.format(format);
  const streams = statement.isSelect && (canConcatenate(format) || repeatsHeader(format));
  if (streams) return stream(job, state.connection, sql, format);
  const result = await state.connection.run(sql, format);
  await reply.write(result.bytes);
  await reply.end(summaryOf(result));
}

async function stream(
  job: Job,
  connection: EngineConnection,
  sql: string,
  format: string,
): Promise<void> {
  const { reply } = job;
  const begin = performance.now();
  let resultBytes = 0;
  let header: number | undefined;
  for await (const piece of connection.stream(sql, format)) {
    const skip = header ?? 0;
    if (repeatsHeader(format)) header ??= headerLength(format, piece);
    resultBytes += piece.byteLength - skip;
    await reply.write(piece.subarray(skip));
  }
  const elapsedSeconds = (performance.now() - begin) / 1_000;
  await reply.end({ ...EMPTY, resultBytes, elapsedSeconds });
}

/** Gives the connection its rights, settings, parameters and database, in one call. */
async function open(
  engine: Engine,
  job: Job,
  state: SessionState,
  own: ReadonlyMap<string, string>,
): Promise<void> {
  const { protocol, user } = job;
  const database = protocol.database ?? state.database;
  if (database !== undefined) judgeDatabase(user, database);
  const settings = settingStatements(
    user,
    new Map([...state.settings, ...protocol.settings, ...own]),
  );
  const statements = engine.openingStatements(state.connection, user);
  for (const name of state.applied) {
    if (!settings.has(name)) statements.push(`SET ${name} = DEFAULT`);
  }
  state.applied.clear();
  for (const name of settings.keys()) if (!name.startsWith('param_')) state.applied.add(name);
  for (const [name, value] of protocol.parameters) {
    if (!/^\w+$/.test(name))
      throw exception('BAD_ARGUMENTS', `${name} cannot be a parameter's name.`);
    settings.set(`param_${name}`, value);
  }
  statements.push(...setStatement(settings));
  if (database !== undefined && database !== '') statements.push(`USE ${quoteName(database)}`);
  if (user === 'reader') statements.push('SET readonly = 1');
  await state.connection.run(statements.join(';\n'), DEFAULT_FORMAT);
}

/** The engine's own form of a single statement. It parses, and runs nothing. */
async function canonical(connection: EngineConnection, text: string): Promise<string> {
  try {
    const result = await connection.run(
      `SELECT formatQuery(${quote(text)}) SETTINGS max_query_size = 16777216`,
      'RawBLOB',
    );
    return Buffer.from(result.bytes).toString('utf8');
  } catch (error) {
    if (!(error instanceof ClickHouseException)) throw error;
    const message = error.message.replace(/: In scope SELECT formatQuery\([\s\S]*$/, '');
    throw new ClickHouseException(error.code, error.codeName, message);
  }
}

function parametersOf(job: Job, state: SessionState): Map<string, string> {
  const parameters = new Map(job.protocol.parameters);
  for (const [name, value] of state.settings) {
    const parameter = name.startsWith('param_') ? name.slice('param_'.length) : undefined;
    if (parameter !== undefined && !parameters.has(parameter)) parameters.set(parameter, value);
  }
  return parameters;
}

async function applySet(job: Job, state: SessionState, statement: Statement): Promise<void> {
  const { values } = readAssignments(statement.tokens, 1);
  settingStatements(job.user, values);
  for (const [name, value] of values) state.settings.set(name, value);
  await job.reply.end(EMPTY);
}

async function applyUse(
  engine: Engine,
  job: Job,
  state: SessionState,
  statement: Statement,
): Promise<void> {
  const database = statement.tokens[1]?.text ?? '';
  judgeDatabase(job.user, database);
  await open(engine, job, state, new Map());
  await state.connection.run(`USE ${quoteName(database)}`, DEFAULT_FORMAT);
  state.database = database;
  await job.reply.end(EMPTY);
}

function formatOf(statement: Statement, asked: string | undefined): string {
  const format = statement.format ?? asked ?? DEFAULT_FORMAT;
  if (/^\w+$/.test(format)) return format;
  throw exception('UNKNOWN_FORMAT', `Unknown format ${format}.`);
}

const WITHOUT_ROWS = new Set([
  'INSERT',
  'CREATE',
  'DROP',
  'ALTER',
  'TRUNCATE',
  'RENAME',
  'OPTIMIZE',
]);

function givesRows(statement: Statement): boolean {
  return !WITHOUT_ROWS.has(statement.verb);
}

function summaryOf(result: EngineResult): ReplySummary {
  return {
    ...EMPTY,
    readRows: result.rowsRead,
    readBytes: result.bytesRead,
    resultBytes: result.bytes.byteLength,
    elapsedSeconds: result.elapsedSeconds,
  };
}
