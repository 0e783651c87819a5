/** What is wrong with the database, in words that say what to do; never with its password. */
export class DatabaseError extends Error {
  readonly advice: string;

  constructor(message: string, advice: string, options?: ErrorOptions) {
    super(`${message}. ${advice}`, options);
    this.name = 'DatabaseError';
    this.advice = advice;
  }
}

/** Makes an error for a person out of what connecting failed with. */
export function describeConnectError(error: unknown, databaseUrl: string): DatabaseError {
  const { host, pathname } = new URL(databaseUrl);
  const where = `PostgreSQL at ${host}`;
  const fault = error as { code?: string; message?: string };
  const cause = { cause: error };
  switch (fault.code) {
    case 'ECONNREFUSED':
      return new DatabaseError(
        `${where} refuses connections`,
        'Start it, or set DATABASE_URL to where it is.',
        cause,
      );
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new DatabaseError(
        `${where}: the host is not known`,
        'Check the host in DATABASE_URL.',
        cause,
      );
    case '28P01':
    case '28000':
      return new DatabaseError(
        `${where} refuses the user or the password`,
        'Check the user and the password in DATABASE_URL.',
        cause,
      );
    case '3D000':
      return new DatabaseError(
        `${where} has no database ${pathname.slice(1)}`,
        'Create it, or check the name in DATABASE_URL.',
        cause,
      );
    default:
      return new DatabaseError(
        `${where} cannot be reached: ${fault.message || fault.code || 'no answer'}`,
        'Check DATABASE_URL and the network.',
        cause,
      );
  }
}
