/** The worker's end of the channel to its agent: calls with answers, and messages without. */
import type { LogsRequest } from '../../../domain/agent-protocol.ts';
import { type CodeSource, MAX_CALL_CHARACTERS, type ToAgent, type ToWorker } from './messages.ts';
import { fromWire } from './wire-error.ts';

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export class Channel {
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;

  onMessage(take: (message: ToWorker) => void): void {
    process.on('message', (message) => {
      const told = message as ToWorker;
      if (told.type === 'answer') this.#answered(told);
      else take(told);
    });
  }

  /** Sends; what finds the channel closed is lost, and this process is about to end. */
  send(message: ToAgent): void {
    if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
  }

  /** A call of the agent's session. */
  call(name: string, args: readonly unknown[]): Promise<unknown> {
    const size = JSON.stringify(args).length;
    if (size > MAX_CALL_CHARACTERS) {
      throw new RangeError(`a call of ${size} characters is too large: ${name}`);
    }
    return this.#ask((id) => ({ type: 'call', id, name, args }));
  }

  async logs(request: LogsRequest): Promise<void> {
    await this.#ask((id) => ({ type: 'logs', id, request }));
  }

  async sourceOf(name: string): Promise<CodeSource | null> {
    return (await this.#ask((id) => ({ type: 'source', id, name }))) as CodeSource | null;
  }

  /** Lends the task's slot. @returns what takes it back */
  async park(): Promise<() => void> {
    const park = this.#nextId;
    await this.#ask((id) => ({ type: 'park', id }));
    return () => this.send({ type: 'unpark', park });
  }

  #ask(message: (id: number) => ToAgent): Promise<unknown> {
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.send(message(id));
    });
  }

  #answered(answer: Extract<ToWorker, { type: 'answer' }>): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ('error' in answer) waiting?.reject(fromWire(answer.error));
    else waiting?.resolve(answer.value);
  }
}
