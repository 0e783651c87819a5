/** Who is signed in. The session itself is a cookie that scripts cannot read. */

import { Fault, whenSignedOut } from './api/client.ts';
import { auth } from './api/endpoints.ts';
import type { Me } from './api/types.ts';
import { live } from './live/events.svelte.ts';

class Session {
  /** `unknown` until the server has answered once. */
  state = $state<'unknown' | 'in' | 'out' | 'unreachable'>('unknown');
  me = $state.raw<Me | null>(null);

  constructor() {
    whenSignedOut(() => this.#end());
  }

  /** Asks the server who is signed in. */
  async check(): Promise<void> {
    try {
      this.me = await auth.me();
      this.state = 'in';
      live.start();
    } catch (error) {
      if (error instanceof Fault && error.status === 401) this.#end();
      else this.state = 'unreachable';
    }
  }

  /** @throws Fault where the code or token is not valid */
  async login(credential: { code: string } | { token: string }): Promise<void> {
    await auth.login(credential);
    await this.check();
  }

  async logout(): Promise<void> {
    await auth.logout();
    this.#end();
  }

  #end(): void {
    this.me = null;
    this.state = 'out';
    live.stop();
  }
}

export const session = new Session();
