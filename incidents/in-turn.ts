/**
 * Decisions of this server one after the other. Of incidents that open together each sees what was decided for the
 * ones before it; else all of them would find the budget untouched. Responses by themselves are made by one server
 * at a time, so that a turn within the process is enough.
 */
export type InTurn = <T>(decide: () => Promise<T>) => Promise<T>;

export function createTurns(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (decide) => {
    const decided = last.then(decide);
    last = decided.catch(() => undefined);
    return decided;
  };
}
