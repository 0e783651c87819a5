/** Runs one judged statement with the user's rights and sends what comes out. */
import type { Engine } from './engine.ts';
import type { EngineConnection, EngineResult } from './engine-connection.ts';
import { exception } from './exceptions.ts';
import type { Job } from './execute.ts';
import { helloBlock, isHello } from './hello.ts';
import type { InsertHead } from './insert-statement.ts';
import { NOTHING_DONE, type ReplySummary } from './reply.ts';
import { judge, judgeDatabase, judgeReadOnly } from './rules.ts';
import { killedQueryId } from './running-queries.ts';
import type { SessionState } from './sessions.ts';
import { setStatement, settingStatements } from './settings.ts';
import { quote } from './sql-text.ts';
import {
  describeStatement,
  intoFile,
  readAssignments,
  type Statement,
  takeSettings,
  usedParameters,
} from './statement.ts';

const DEFAULT_FORMAT = 'TabSeparated';
const DEDUPLICATION_TOKEN = 'insert_deduplication_token';

/** Runs an INSERT whose rows lie in a file. */
export async function runInsert(
  job: Job,
  state: SessionState,
  rows: { head: InsertHead; path: string },
): Promise<void> {
  const { into, format } = rows.head;
  const settings = takeToken(job.protocol.settings, rows.head.settings);
  const sql = `${into} FROM INFILE ${quote(rows.path)} COMPRESSION 'none' ${settings} FORMAT ${format}`;
  await withConnection(job, state, { own: new Map(), changesIt: false }, async (connection) => {
    const result = await connection.run(sql, DEFAULT_FORMAT);
    await job.reply.end({
      ...summaryOf(result, 0),
      writtenRows: result.rowsRead,
      writtenBytes: result.bytesRead,
    });
  });
}

/**
 * The token differs from insert to insert. As a setting of the connection it would make each insert
 * need a connection of its own; so it goes into the statement.
 */
function takeToken(settings: Map<string, string>, clause: string): string {
  const token = settings.get(DEDUPLICATION_TOKEN);
  if (token === undefined) return clause;
  settings.delete(DEDUPLICATION_TOKEN);
  return `${clause === '' ? 'SETTINGS' : `${clause},`} ${DEDUPLICATION_TOKEN} = ${quote(token)}`;
}

/** Runs any other statement. */
export async function runStatement(
  engine: Engine,
  job: Job,
  state: SessionState,
  text: string,
): Promise<void> {
  const { protocol, reply, user } = job;
  if (isHello(text, protocol.settings.get('client_protocol_version'))) {
    reply.format('Native');
    await reply.write(helloBlock(engine));
    return reply.end({ ...NOTHING_DONE, resultRows: 1 });
  }
  const statement = describeStatement(await engine.parse(text), text);
  if (protocol.readOnly) judgeReadOnly(statement.verb);
  const parameters = parametersOf(job, state);
  for (const name of usedParameters(statement)) requireParameter(parameters, name);
  judge(user, statement, parameters, engine);
  if (statement.verb === 'SET') return applySet(job, state, statement);
  const killed = killedQueryId(statement.tokens);
  if (killed !== undefined && (await job.running.kill(killed))) return reply.end(NOTHING_DONE);
  if (statement.verb === 'USE') return applyUse(job, state, statement);
  // The engine lets no setting through on a reader's connection: those that may be are set beforehand.
  const [sql, own] = user === 'reader' ? takeSettings(statement) : [statement.text, new Map()];
  const format = formatOf(engine, statement, protocol.defaultFormat);
  const changesIt = !statement.givesRows && statement.verb !== 'INSERT';
  await withConnection(job, state, { own, changesIt }, async (connection) => {
    if (statement.givesRows) await sendRows(job, connection, sql, format);
    else await sendOutcome(job, connection, sql, format);
  });
}

async function sendRows(
  { reply }: Job,
  connection: EngineConnection,
  sql: string,
  format: string,
): Promise<void> {
  reply.format(format);
  const reading = connection.stream((path) => intoFile(sql, path, format), format);
  let resultBytes = 0;
  try {
    let step = await reading.next();
    for (; !step.done; step = await reading.next()) {
      resultBytes += step.value.byteLength;
      await reply.write(step.value);
    }
    await reply.end(summaryOf(step.value, resultBytes));
  } finally {
    await reading.return(undefined as never);
  }
}

/** Statements other than reads say little; `KILL QUERY` and the like have a few rows. */
async function sendOutcome(
  { reply }: Job,
  connection: EngineConnection,
  sql: string,
  format: string,
): Promise<void> {
  const result = await connection.run(sql, format);
  if (result.bytes.byteLength > 0) reply.format(format);
  await reply.write(result.bytes);
  await reply.end(summaryOf(result, result.bytes.byteLength));
}

/** How a statement uses its connection. */
interface Use {
  /** Settings of its own. */
  readonly own: ReadonlyMap<string, string>;
  /** True when it may leave something on the connection, such as a temporary table. */
  readonly changesIt: boolean;
}

/** Gives `work` a connection with rights, settings and database, and the request's parameters. */
async function withConnection(
  job: Job,
  state: SessionState,
  use: Use,
  work: (connection: EngineConnection) => Promise<void>,
): Promise<void> {
  const { protocol, user, reply } = job;
  const database = protocol.database ?? state.database;
  if (database !== undefined) judgeDatabase(user, database);
  const asked = new Map([...state.settings, ...protocol.settings, ...use.own]);
  const connection = await state.connect(settingStatements(user, asked), database);
  const leave = job.running.enter(protocol.queryId, connection);
  let hasFailed = true;
  try {
    if (!reply.isClientGone) {
      reply.onClientGone(() => void connection.cancel().catch(() => undefined));
      await setParameters(connection, protocol.parameters);
      await work(connection);
    }
    hasFailed = false;
  } finally {
    leave();
    await connection.giveBack({ isUnchanged: !use.changesIt, hasFailed });
  }
}

async function setParameters(
  connection: EngineConnection,
  parameters: ReadonlyMap<string, string>,
): Promise<void> {
  if (parameters.size === 0) return;
  const named = new Map<string, string>();
  for (const [name, value] of parameters) {
    if (!/^\w+$/.test(name)) throw exception('BAD_ARGUMENTS', `${name} is no name of a parameter.`);
    named.set(`param_${name}`, value);
  }
  await connection.run(setStatement(named).join(';'), DEFAULT_FORMAT);
}

/** Parameters stay on a connection; this is why nothing sees those of an earlier request. */
function requireParameter(parameters: ReadonlyMap<string, string>, name: string): void {
  if (parameters.has(name)) return;
  throw exception('UNKNOWN_QUERY_PARAMETER', `Substitution \`${name}\` is not set.`);
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
  await job.reply.end(NOTHING_DONE);
}

async function applyUse(job: Job, state: SessionState, statement: Statement): Promise<void> {
  const database = statement.tokens[1]?.text ?? '';
  judgeDatabase(job.user, database);
  const connection = await state.connect(settingStatements(job.user, new Map()), database);
  await connection.giveBack({ isUnchanged: true });
  state.database = database;
  await job.reply.end(NOTHING_DONE);
}

function formatOf(engine: Engine, statement: Statement, asked: string | undefined): string {
  const format = statement.format ?? asked ?? DEFAULT_FORMAT;
  if (engine.outputFormats.has(format.toLowerCase())) return format;
  throw exception('UNKNOWN_FORMAT', `Unknown format ${format}.`);
}

function summaryOf(result: EngineResult, resultBytes: number): ReplySummary {
  return {
    ...NOTHING_DONE,
    readRows: result.rowsRead,
    readBytes: result.bytesRead,
    resultBytes,
    elapsedSeconds: result.elapsedSeconds,
  };
}
