/** Queries of `api_token`. */
import type { Pool } from 'pg';
import type { Role } from '../auth/roles.ts';

/** What is shown of a token; the token itself is known only to who made it. */
export interface TokenSummary {
  readonly name: string;
  readonly role: Role;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly lastUsedAt: string | null;
  /** The one environment that an agent with it works for; null for any. */
  readonly environment: string | null;
}

export interface TokenRow {
  readonly name: string;
  readonly role: Role;
  readonly created_by: string;
  readonly created_at: Date;
  readonly last_used_at: Date | null;
  readonly environment: string | null;
}

const COLUMNS = 'name, role, created_by, created_at, last_used_at, environment';

export async function findToken(
  db: Pool,
  hash: Buffer,
): Promise<{ name: string; role: Role; environment: string | null; hash: Buffer } | undefined> {
  const { rows } = await db.query(
    'SELECT name, role, environment, hash FROM signalbox.api_token WHERE hash = $1 AND revoked_at IS NULL',
    [hash],
  );
  return rows[0];
}

/** @returns undefined where a valid token has that name already */
export async function insertToken(
  db: Pool,
  token: {
    hash: Buffer;
    name: string;
    role: Role;
    createdBy: string;
    environment: string | null;
  },
): Promise<TokenSummary | undefined> {
  const { rows } = await db.query<TokenRow>(
    `INSERT INTO signalbox.api_token (hash, name, role, created_by, environment) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING RETURNING ${COLUMNS}`,
    [token.hash, token.name, token.role, token.createdBy, token.environment],
  );
  return rows[0] && toSummary(rows[0]);
}

/** Makes a token valid whose secret is known. @returns its name, longer than wanted where that is taken */
export async function ensureToken(
  db: Pool,
  token: { hash: Buffer; name: string; role: Role },
): Promise<string> {
  const { rows } = await db.query(
    `INSERT INTO signalbox.api_token AS token (hash, name, role, created_by)
     SELECT $1, CASE WHEN EXISTS (
       SELECT FROM signalbox.api_token WHERE name = $2 AND hash <> $1 AND revoked_at IS NULL
     ) THEN $2 || '-' || left(encode($1, 'hex'), 6) ELSE $2 END, $3, 'signalbox'
     ON CONFLICT (hash) DO UPDATE SET role = excluded.role, revoked_at = NULL
     RETURNING name`,
    [token.hash, token.name, token.role],
  );
  return rows[0].name;
}

export async function listTokens(db: Pool): Promise<TokenSummary[]> {
  const { rows } = await db.query<TokenRow>(
    `SELECT ${COLUMNS} FROM signalbox.api_token WHERE revoked_at IS NULL ORDER BY created_at DESC, name`,
  );
  return rows.map(toSummary);
}

/** @returns the hash of the token that was revoked, undefined where none has that name */
export async function revokeToken(db: Pool, name: string): Promise<Buffer | undefined> {
  const { rows } = await db.query(
    `WITH revoked AS (
       UPDATE signalbox.api_token SET revoked_at = now()
       WHERE name = $1 AND revoked_at IS NULL RETURNING hash
     ), ended AS (
       DELETE FROM signalbox.web_session s USING revoked r WHERE s.token_hash = r.hash
     )
     SELECT hash FROM revoked`,
    [name],
  );
  return rows[0]?.hash;
}

export async function touchTokens(db: Pool, hashes: readonly Buffer[]): Promise<void> {
  await db.query('UPDATE signalbox.api_token SET last_used_at = now() WHERE hash = ANY($1)', [
    hashes,
  ]);
}

function toSummary(row: TokenRow): TokenSummary {
  return {
    name: row.name,
    role: row.role,
    createdBy: row.created_by,
    createdAt: row.created_at.toISOString(),
    lastUsedAt: row.last_used_at?.toISOString() ?? null,
    environment: row.environment,
  };
}

/** Tokens that were for an environment alone go with it. */
export async function deleteTokensOf(db: Pool, environment: string): Promise<void> {
  await db.query('DELETE FROM signalbox.api_token WHERE environment = $1', [environment]);
}
