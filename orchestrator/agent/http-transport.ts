import type { Transport } from './transport.ts';

export interface HttpTransportOptions {
  /** Address of the server, e.g. `http://127.0.0.1:4400`. */
  readonly url: string;
  /** Token of role `agent`. */
  readonly token: string;
  /** Longest silence of the server in a call that does not wait for work. */
  readonly answerLimitMs?: number;
}

export declare function httpTransport(options: HttpTransportOptions): Transport;
