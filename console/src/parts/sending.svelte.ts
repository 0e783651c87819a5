/** The sending of a form: whether it is under way, and what was refused, told at the fields that are meant. */
import { type Fault, toFault } from '../api/client.ts';
import { NO_FAULTS, type PlacedFaults, placeFaults } from './placed-faults.ts';

export class Sending {
  busy = $state(false);
  fault = $state.raw<Fault | null>(null);
  placed = $state.raw<PlacedFaults>(NO_FAULTS);

  /** @param fields names of those that show faults, as they are when the answer comes */
  async send(
    work: () => Promise<unknown>,
    fields: () => readonly string[] = () => [],
  ): Promise<void> {
    this.busy = true;
    this.fault = null;
    this.placed = NO_FAULTS;
    try {
      await work();
    } catch (error) {
      this.fault = toFault(error);
      this.placed = placeFaults(this.fault, fields());
    } finally {
      this.busy = false;
    }
  }
}
