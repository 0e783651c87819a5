/** What is being filled in for a workflow's parameters: by fields, or as one JSON text. */
import { type Field, type Filled, fieldsOf, parametersOf, parametersOfJson } from './fields.ts';

export class ParameterDraft {
  /** Null where the schema needs JSON. */
  readonly fields: readonly Field[] | null;
  filled = $state<Record<string, string>>({});
  json = $state('{}');
  #chosen = $state(false);

  constructor(schema: Readonly<Record<string, unknown>> | null) {
    this.fields = fieldsOf(schema);
  }

  get asJson(): boolean {
    return this.fields === null || this.#chosen;
  }

  /** Goes from fields to JSON with what was filled in, and back. */
  turn(): void {
    if (!this.#chosen) this.json = JSON.stringify(this.read().parameters, null, 2);
    this.#chosen = !this.#chosen;
  }

  read(): Filled {
    return this.asJson ? parametersOfJson(this.json) : parametersOf(this.fields ?? [], this.filled);
  }

  /** Names by which faults are placed. */
  get names(): readonly string[] {
    return this.asJson ? [] : (this.fields ?? []).map(({ name }) => `parameters/${name}`);
  }
}
