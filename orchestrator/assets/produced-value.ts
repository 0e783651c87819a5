/**
 * Value of one of the assets that a task produces: what it returns where it is the only one, else that of an object by
 * keys.
 */
export function producedValue(result: unknown, key: string, produces: readonly string[]): unknown {
  if (produces.length === 1) return result;
  if (typeof result !== 'object' || result === null) return null;
  return (result as Readonly<Record<string, unknown>>)[key] ?? null;
}
