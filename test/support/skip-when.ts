/**
 * For `describe.skipIf(skipWhen(condition, reason))`: prints the reason when the condition holds, so
 * that a test that cannot run on this machine says so.
 */
export function skipWhen(condition: boolean, reason: string): boolean {
  if (condition) console.warn(`SKIPPED: ${reason}`);
  return condition;
}
