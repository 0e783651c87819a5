/**
 * What happens in the environment of a branch concerns who works on it, and nobody else: it is at most worth knowing,
 * calls no person, and nothing acts on it by itself. A finding's fingerprint holds the name of what it is about, behind
 * words of the detector alone: names of others may hold anything further on, also what looks like an environment.
 */
import { environmentOf } from '../domain/environment.ts';
import type { Finding } from '../domain/finding.ts';

/** What detectors put in front of the name; the same in JavaScript and in PostgreSQL. */
const BEFORE_NAME =
  '^(duplicate-runs:signalbox|pool-exhaustion:pool|(?!duplicate-runs:|pool-exhaustion:)[a-z-]+):';
const BEFORE = new RegExp(BEFORE_NAME);

/** The environment that it is of; null for production. */
export function branchOf({ fingerprint }: Pick<Finding, 'fingerprint'>): string | null {
  return environmentOf(fingerprint.replace(BEFORE, ''));
}

/** As it counts. */
export function asOfBranch(finding: Finding): Finding {
  return branchOf(finding) === null ? finding : { ...finding, severity: 'info' };
}

/** A condition on fingerprints for a list. @param prefix as `listPrefix` gives it, a parameter of the statement */
export function inEnvironmentSql(column: string, prefix: string): string {
  const name = `regexp_replace(${column}, '${BEFORE_NAME}', '')`;
  return `CASE ${prefix}::text WHEN '*' THEN true WHEN '' THEN ${name} !~ '^~[a-z0-9][a-z0-9-]*~'
    ELSE starts_with(${name}, ${prefix}::text) END`;
}
