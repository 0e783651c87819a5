/**
 * Texts without the passwords, tokens and keys that messages of clients tend to hold. It goes by what stands beside a
 * secret (its name, its scheme, the user of a URL) and by secrets that tell themselves. It rather hides a word too
 * many than a password too few, but a sentence about a token stays readable. Pure; a text that went through it before
 * stays as it is. Each pattern is bounded, so that no text takes long.
 */

const PASSWORD_IN_URL = /([a-z][a-z0-9+.-]{0,30}:\/\/[^\s:/@]{0,200}):[^\s/]{1,500}@/gi;
const SCHEME = /\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi;
const AUTHORIZATION =
  /(authorization\\{0,4}["']?\s{0,3}[:=]\s{0,3}\\{0,4}["']?(?:token|apikey|digest|negotiate)\s+)[\w.~+/=-]{8,}/gi;
const COOKIE = /(cookie\\{0,4}["']?\s{0,3}:\s{0,3}\\{0,4}["']?)[^\s"'][^\n"']{0,4000}/gi;
/** Told before already, or quoted (in JSON within JSON with backslashes in front), or up to what ends it. */
const VALUE = String.raw`(?:\*{3}(?![^\s&;,'")}\]])|\\+"(?:(?!\\+")[^\n]){0,500}(?:\\+")?|"(?:[^"\\]|\\.){0,500}"?|'(?:[^'\\]|\\.){0,500}'?|[^\s&;,'"]+)`;
const PASSWORDS = 'password|passwd|passphrase|pwd|(?:api|access|account|private|secret)[_-]?key';
const QUOTE = String.raw`\\{0,4}["']`;
/** Whatever stands before such a name: `PGPASSWORD`, `client_secret`, `X-Amz-Security-Token`. */
const ASSIGNED = new RegExp(
  String.raw`((?:${PASSWORDS}|secret|token|signature|\bsig)(?:${QUOTE})?\s{0,3}=>?\s{0,3})${VALUE}`,
  'gi',
);
/** With a colon where it is a field or a header: a sentence may say `unexpected token: x`. */
const FIELD = new RegExp(
  String.raw`((?:(?:${PASSWORDS}|[-_]token)(?:${QUOTE})?|(?:secret|token)(?:${QUOTE}|(?=\s{0,3}:\s{0,3}${QUOTE})))\s{0,3}:\s{0,3})${VALUE}`,
  'gi',
);
/** What tells itself: keys of AWS, tokens of code hosts and the like, JSON web tokens. */
const KNOWN_TOKEN =
  /\b(?:(?:AKIA|ASIA)[A-Z0-9]{16}|(?:gh[a-z]_|github_pat_|glpat-|xox[a-z]-|sk[-_]|npm_|pypi-)[\w-]{16,}|eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]+)?)/g;
const PRIVATE_KEY =
  /-----BEGIN ([A-Z ]{0,20}PRIVATE KEY)-----(?:(?!-----END)[\s\S])*(?:-----END [A-Z ]{0,20}PRIVATE KEY-----)?/g;

/** A text without the passwords and tokens that messages of clients tend to hold. */
export function withoutSecrets(text: string): string {
  return text
    .replace(PRIVATE_KEY, '*** $1 ***')
    .replace(PASSWORD_IN_URL, '$1:***@')
    .replace(AUTHORIZATION, '$1***')
    .replace(SCHEME, '$1 ***')
    .replace(COOKIE, '$1***')
    .replace(ASSIGNED, '$1***')
    .replace(FIELD, '$1***')
    .replace(KNOWN_TOKEN, '***');
}
