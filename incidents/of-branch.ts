/**
 * What happens in the environment of a branch concerns who works on it, and nobody else: it is at most worth knowing,
 * calls no person, and nothing acts on it by itself. A finding's fingerprint holds the name of what it is about.
 */
import type { Finding } from '../domain/finding.ts';

const QUALIFIED = /(?:^|:)~([a-z0-9][a-z0-9-]{0,39})~/;

/** The environment that it is of; null for production. */
export function branchOf({ fingerprint }: Pick<Finding, 'fingerprint'>): string | null {
  return QUALIFIED.exec(fingerprint)?.[1] ?? null;
}

/** As it counts. */
export function asOfBranch(finding: Finding): Finding {
  return branchOf(finding) === null ? finding : { ...finding, severity: 'info' };
}

/** A condition on fingerprints for a list. @param prefix as `listPrefix` gives it, a parameter of the statement */
export function inEnvironmentSql(column: string, prefix: string): string {
  return `CASE ${prefix}::text WHEN '*' THEN true WHEN '' THEN ${column} !~ '(^|:)~[a-z0-9][a-z0-9-]*~'
    ELSE strpos(${column}, ${prefix}::text) > 0 END`;
}
