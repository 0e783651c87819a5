/** What the supervisor and the process that holds PostgreSQL say to each other. */
export interface StartPostgres {
  readonly directory: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Settings such as `max_connections=100`; they win over those of an instance. */
  readonly settings?: readonly string[];
}

export type PostgresMessage =
  | { readonly type: 'ready'; readonly pid: number }
  | { readonly type: 'failed'; readonly message: string };
