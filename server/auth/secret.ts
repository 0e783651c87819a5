/** Secrets that the product makes: random, stored only as a hash, compared in constant time. */
import { createHash, randomBytes } from 'node:crypto';

const TOKEN_PREFIX = 'sbx_';
const SECRET_BYTES = 32;

/** A token of 256 random bits. */
export function makeToken(): string {
  return TOKEN_PREFIX + makeSecret();
}

/** 256 random bits as text that fits into a URL. */
export function makeSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url');
}

export function hashSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
