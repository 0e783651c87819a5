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
  readonly askedAtMs: number;
}

type Kind = 'token' | 'session';

export interface CreatedToken extends TokenSummary {
  /** Shown this once; nothing can tell it again. */
  readonly token: string;
}

/** Tokens, login codes and sessions. */
export class Credentials {
  readonly #db: Pool;
  readonly #clock: Clock;
  readonly #kept = new Map<string, Kept>();
  readonly #own = new Map<string, Identity>();
  readonly #used = new Map<string, Buffer>();
  readonly #touching: NodeJS.Timeout;

  constructor(db: Pool, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
    this.#touching = setInterval(() => this.#touch(), TOUCH_EVERY_MS).unref();
  }

  /** Whose secret it is; null where it is nobody's (any more). */
  async identify(kind: Kind, secret: string): Promise<Identity | null> {
    const hash = hashSecret(secret);
    const key = keyOf(kind, hash);
    const own = this.#own.get(key);
    if (own) return own;
    const known = this.#kept.get(key);
    const identity = known && this.#isFresh(known) ? known.identity : await this.#ask(kind, hash);
    // What anybody makes up is not remembered.
    if (kind === 'token' && identity) this.#used.set(key, hash);
    return identity;
  }

  /** Also where the clock was set back since. */
  #isFresh({ askedAtMs }: Kept): boolean {
    return Math.abs(this.#clock.now() - askedAtMs) < KEPT_MS;
  }

  async #ask(kind: Kind, hash: Buffer): Promise<Identity | null> {
    const askedAtMs = this.#clock.now();
    const found = await (kind === 'token' ? findToken : findSession)(this.#db, hash);
    const identity = found && timingSafeEqual(found.hash, hash) ? found : null;
    if (this.#kept.size >= MAX_KEPT) this.#kept.clear();
    this.#kept.set(keyOf(kind, hash), { identity, askedAtMs });
    return identity;
  }

  /** A token that is valid in this process alone, for what the process sends to itself. */
  ownToken(name: string, role: Role): string {
    const token = makeToken();
    this.#own.set(keyOf('token', hashSecret(token)), { name, role });
    return token;
  }

  /** @throws conflict where a valid token has that name */
  async createToken(
    name: string,
    role: Role,
    createdBy: string,
    environment: string | null = null,
  ): Promise<CreatedToken> {
    const token = makeToken();
    const hash = hashSecret(token);
    const summary = await insertToken(this.#db, { hash, name, role, createdBy, environment });
    if (!summary) throw new SignalboxError('conflict', `a token named ${name} exists already`);
    return { ...summary, token };
  }

  /**
   * Makes this token valid.
   * @returns its name: the wanted one, or that with an addition where another token has it
   */
  ensureToken(name: string, role: Role, token: string): Promise<string> {
    return ensureToken(this.#db, { name, role, hash: hashSecret(token) });
  }

  listTokens(): Promise<TokenSummary[]> {
    return listTokens(this.#db);
  }

  /** @throws not-found */
  async revokeToken(name: string): Promise<void> {
    if (!(await revokeToken(this.#db, name))) {
      throw new SignalboxError('not-found', `there is no token named ${name}`);
    }
    this.#kept.clear();
  }

  /** A code that opens one session within 15 minutes. */
  async createLoginCode({ name, role }: Identity): Promise<string> {
    const code = makeSecret();
    const lifeSeconds = CODE_LIFE_SECONDS;
    await insertLoginCode(this.#db, { name, role, hash: hashSecret(code), lifeSeconds });
    return code;
  }

  /** Opens a session for a one-time code or a token. @throws unauthenticated */
  async openSession(
    by: { code: string } | { token: string },
  ): Promise<Identity & { secret: string }> {
    const identity =
      'code' in by
        ? await useLoginCode(this.#db, hashSecret(by.code))
        : await this.identify('token', by.token);
    if (!identity) {
      const what = 'code' in by ? 'the code was used before, is over or unknown' : 'no such token';
      throw new SignalboxError('unauthenticated', what);
    }
    const secret = makeSecret();
    const { name, role } = identity;
    await insertSession(this.#db, {
      ...{ name, role, hash: hashSecret(secret), lifeSeconds: SESSION_LIFE_SECONDS },
      tokenHash: 'token' in by ? hashSecret(by.token) : null,
    });
    return { name, role, secret };
  }

  async closeSession(secret: string): Promise<void> {
    const hash = hashSecret(secret);
    this.#kept.delete(keyOf('session', hash));
    await deleteSession(this.#db, hash);
  }

  close(): void {
    clearInterval(this.#touching);
  }

  #touch(): void {
    const hashes = [...this.#used.values()];
    this.#used.clear();
    if (hashes.length > 0) touchTokens(this.#db, hashes).catch(() => undefined);
  }
}

function keyOf(kind: Kind, hash: Buffer): string {
  return kind + hash.toString('base64');
}
