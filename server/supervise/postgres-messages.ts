/** What the supervisor and the process that holds PostgreSQL say to each other. */
export interface StartPostgres {
  readonly directory: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export type PostgresMessage =
  | { readonly type: 'ready'; readonly pid: number }
  | { readonly type: 'failed'; readonly message: string };
