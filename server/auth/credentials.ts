/**
 * Who a secret belongs to. Tokens and sessions are asked from Postgres once and then kept for a few seconds,
 * so that a busy agent costs no query a call, and a revoked token is refused everywhere within that time.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Pool } from 'pg';
import { SignalboxError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/time.ts';
import {
  deleteSession,
  findSession,
  type Identity,
  insertLoginCode,
  insertSession,
  useLoginCode,
} from '../store/sessions.ts';
import {
  ensureToken,
  findToken,
  insertToken,
  listTokens,
  revokeToken,
  type TokenSummary,
  touchTokens,
} from '../store/tokens.ts';
import type { Role } from './roles.ts';
import { hashSecret, makeSecret, makeToken } from './secret.ts';

const KEPT_MS = 5_000;
const MAX_KEPT = 10_000;
const CODE_LIFE_SECONDS = 15 * 60;
export const SESSION_LIFE_SECONDS = 7 * 24 * 3_600;
const TOUCH_EVERY_MS = 30_000;

interface Kept {
  readonly identity: Identity | null;
  readonly untilMs: number;
}

type Kind = 'token' | 'session';

/** Tokens, login codes and sessions. */
export function createCredentials(db: Pool, clock: Clock) {
  const kept = new Map<string, Kept>();
  const own = new Map<string, Identity>();
  const used = new Map<string, Buffer>();

  async function identify(kind: Kind, secret: string): Promise<Identity | null> {
    const hash = hashSecret(secret);
    const key = keyOf(kind, hash);
    const mine = own.get(key);
    if (mine) return mine;
    const known = kept.get(key);
    const now = clock.now();
    if (kind === 'token') used.set(key, hash);
    if (known && known.untilMs > now) return known.identity;
    const found = await (kind === 'token' ? findToken(db, hash) : findSession(db, hash));
    const identity = found && timingSafeEqual(found.hash, hash) ? found : null;
    if (kept.size >= MAX_KEPT) kept.clear();
    kept.set(key, { identity, untilMs: now + KEPT_MS });
    return identity;
  }

  const touch = setInterval(() => {
    const hashes = [...used.values()];
    used.clear();
    if (hashes.length > 0) touchTokens(db, hashes).catch(() => undefined);
  }, TOUCH_EVERY_MS).unref();

  return {
    identify,
    /** A token that is valid in this process alone, for what the process sends to itself. */
    ownToken(name: string, role: Role): string {
      const token = makeToken();
      const key = keyOf('token', hashSecret(token));
      own.set(key, { name, role });
      return token;
    },
    async createToken(name: string, role: Role, createdBy: string): Promise<CreatedToken> {
      const token = makeToken();
      const summary = await insertToken(db, { hash: hashSecret(token), name, role, createdBy });
      if (!summary) throw new SignalboxError('conflict', `a token named ${name} exists already`);
      return { ...summary, token };
    },
    /**
     * Makes this token valid.
     * @returns its name: the wanted one, or that with an addition where another token has it
     */
    ensureToken: (name: string, role: Role, token: string) =>
      ensureToken(db, { name, role, hash: hashSecret(token) }),
    listTokens: () => listTokens(db),
    async revokeToken(name: string): Promise<void> {
      if (!(await revokeToken(db, name))) {
        throw new SignalboxError('not-found', `there is no token named ${name}`);
      }
      kept.clear();
    },
    async createLoginCode(identity: Identity): Promise<string> {
      const code = makeSecret();
      const { name, role } = identity;
      await insertLoginCode(db, {
        ...{ name, role },
        hash: hashSecret(code),
        lifeSeconds: CODE_LIFE_SECONDS,
      });
      return code;
    },
    /** Opens a session for a one-time code or a token. @throws unauthenticated */
    async openSession(
      by: { code: string } | { token: string },
    ): Promise<Identity & { secret: string }> {
      const identity =
        'code' in by
          ? await useLoginCode(db, hashSecret(by.code))
          : await identify('token', by.token);
      if (!identity) {
        const what =
          'code' in by ? 'the code was used before, is over or unknown' : 'no such token';
        throw new SignalboxError('unauthenticated', what);
      }
      const secret = makeSecret();
      const { name, role } = identity;
      await insertSession(db, {
        ...{ name, role },
        hash: hashSecret(secret),
        tokenHash: 'token' in by ? hashSecret(by.token) : null,
        lifeSeconds: SESSION_LIFE_SECONDS,
      });
      return { name, role, secret };
    },
    async closeSession(secret: string): Promise<void> {
      const hash = hashSecret(secret);
      kept.delete(keyOf('session', hash));
      await deleteSession(db, hash);
    },
    close: () => clearInterval(touch),
  };
}

function keyOf(kind: Kind, hash: Buffer): string {
  return kind + hash.toString('base64');
}

export type Credentials = ReturnType<typeof createCredentials>;

export interface CreatedToken extends TokenSummary {
  /** Shown this once; nothing can tell it again. */
  readonly token: string;
}
