/** Queries of `login_code` and `web_session`. */
import type { Pool } from 'pg';
import type { Role } from '../auth/roles.ts';

export interface Identity {
  readonly name: string;
  readonly role: Role;
  /** The one environment that an agent's token is for. */
  readonly environment?: string | null;
}

export async function insertLoginCode(
  db: Pool,
  code: Identity & { hash: Buffer; lifeSeconds: number },
): Promise<void> {
  await db.query(
    `WITH swept AS (DELETE FROM signalbox.login_code WHERE expires_at < now() - interval '1 day')
     INSERT INTO signalbox.login_code (hash, name, role, expires_at)
     VALUES ($1, $2, $3, now() + make_interval(secs => $4))`,
    [code.hash, code.name, code.role, code.lifeSeconds],
  );
}

/** Uses a code up. @returns undefined where it is not known, used or over */
export async function useLoginCode(db: Pool, hash: Buffer): Promise<Identity | undefined> {
  const { rows } = await db.query(
    `UPDATE signalbox.login_code SET used_at = now()
     WHERE hash = $1 AND used_at IS NULL AND expires_at > now() RETURNING name, role`,
    [hash],
  );
  return rows[0];
}

export async function insertSession(
  db: Pool,
  session: Identity & { hash: Buffer; tokenHash: Buffer | null; lifeSeconds: number },
): Promise<void> {
  await db.query(
    `WITH swept AS (DELETE FROM signalbox.web_session WHERE expires_at < now())
     INSERT INTO signalbox.web_session (hash, name, role, token_hash, expires_at)
     VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))`,
    [session.hash, session.name, session.role, session.tokenHash, session.lifeSeconds],
  );
}

export async function findSession(
  db: Pool,
  hash: Buffer,
): Promise<(Identity & { hash: Buffer }) | undefined> {
  const { rows } = await db.query(
    'SELECT name, role, hash FROM signalbox.web_session WHERE hash = $1 AND expires_at > now()',
    [hash],
  );
  return rows[0];
}

export async function deleteSession(db: Pool, hash: Buffer): Promise<void> {
  await db.query('DELETE FROM signalbox.web_session WHERE hash = $1', [hash]);
}
