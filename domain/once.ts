/** `ctx.once` as an agent asks for it: bodies and answers of `POST once`. */

export type OnceRequest =
  | {
      readonly op: 'begin';
      readonly runId: string;
      readonly token: string;
      readonly key: string;
      readonly onUnknown: 'repeat' | 'stop';
    }
  | {
      readonly op: 'finish';
      readonly runId: string;
      readonly token: string;
      readonly key: string;
      readonly result: unknown;
    }
  | { readonly op: 'fail'; readonly runId: string; readonly token: string; readonly key: string };

export type OnceReply =
  | { readonly outcome: 'go' }
  | { readonly outcome: 'done'; readonly result: unknown }
  | { readonly outcome: 'held'; readonly retryInMs: number }
  | { readonly outcome: 'unknown' }
  | { readonly outcome: 'recorded' };
