/** The queries that run, by the ids that their clients gave: the engine knows them by others. */
import type { EngineConnection } from './engine-connection.ts';
import { isMark, isWord, type Token } from './sql-text.ts';

/** Who runs what. */
export interface RunningQueries {
  /** Enters a query; the result takes it out again. */
  enter(queryId: string, connection: EngineConnection): () => void;
  /** Ends the queries with this id, and says whether there were any. */
  kill(queryId: string): Promise<boolean>;
}

/** Makes the list of one server. */
export function makeRunningQueries(): RunningQueries {
  const entries = new Set<{ queryId: string; connection: EngineConnection }>();
  return {
    enter(queryId, connection) {
      const entry = { queryId, connection };
      entries.add(entry);
      return () => entries.delete(entry);
    },
    async kill(queryId) {
      const found = [...entries].filter((entry) => entry.queryId === queryId);
      await Promise.all(found.map(({ connection }) => connection.cancel()));
      return found.length > 0;
    },
  };
}

/** The id in `KILL QUERY WHERE query_id = '…'`; undefined for any other statement. */
export function killedQueryId(tokens: readonly Token[]): string | undefined {
  const [kill, query, where, column, sign, id, mode] = tokens;
  const isKill = isWord(kill, 'KILL') && isWord(query, 'QUERY') && isWord(where, 'WHERE');
  const isById = isWord(column, 'QUERY_ID') && isMark(sign, '=') && id?.kind === 'string';
  return isKill && isById && !isWord(mode, 'TEST') && tokens.length <= 7 ? id.text : undefined;
}
