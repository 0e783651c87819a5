/** Who asks: Basic, ClickHouse's two headers, or URL parameters, as ClickHouse takes them. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { User } from './access.ts';
import { exception } from './exceptions.ts';

/** The users' passwords. */
export type Passwords = Readonly<Record<User, string>>;

interface Credentials {
  readonly user: string;
  readonly password: string;
}

/**
 * Finds the user.
 * @throws ClickHouseException AUTHENTICATION_FAILED, the same for an unknown user as for a wrong password
 */
export function authenticate(request: IncomingMessage, url: URL, passwords: Passwords): User {
  const given = readCredentials(request, url);
  const known = given.user === 'reader' || given.user === 'writer';
  const expected = known ? passwords[given.user as User] : passwords.writer;
  const matches = timingSafeEqual(digest(given.password), digest(expected));
  if (known && matches) return given.user as User;
  throw exception(
    'AUTHENTICATION_FAILED',
    `${given.user}: Authentication failed: password is incorrect, or there is no user with such name.`,
  );
}

function readCredentials(request: IncomingMessage, url: URL): Credentials {
  const headers = request.headers;
  const user = headers['x-clickhouse-user'];
  const key = headers['x-clickhouse-key'];
  if (typeof user === 'string' || typeof key === 'string') {
    return { user: String(user ?? 'default'), password: String(key ?? '') };
  }
  const basic = /^Basic\s+(.+)$/i.exec(headers.authorization ?? '');
  if (basic?.[1] !== undefined) {
    const text = Buffer.from(basic[1], 'base64').toString('utf8');
    const colon = text.indexOf(':');
    if (colon < 0) return { user: text, password: '' };
    return { user: text.slice(0, colon), password: text.slice(colon + 1) };
  }
  return {
    user: url.searchParams.get('user') ?? 'default',
    password: url.searchParams.get('password') ?? '',
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
