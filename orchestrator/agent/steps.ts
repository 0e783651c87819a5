/** Durable steps on their way to the server: a step goes on when its record is there. */
import type { RecordedStep, StepRecord, StepsReply } from '../../domain/agent-protocol.ts';
import { Batcher } from './batcher.ts';
import { Aborted } from './failure.ts';

const STEPS_A_CALL = 1_000;
const CALLS_IN_FLIGHT = 2;
const MAX_CALL_BYTES = 8_388_608;

interface Waiting {
  readonly record: StepRecord;
  readonly bytes: number;
  done(): void;
  failed(error: unknown): void;
}

/** What flows need of the server. */
export interface StepStore {
  /** Resolves when the step is recorded; rejects where the task is no longer this agent's. */
  record(step: StepRecord): Promise<void>;
  recorded(runId: string): Promise<readonly RecordedStep[]>;
}

/** @param send one call for many steps, made again until it gets through */
export function stepStore(
  send: (steps: readonly StepRecord[]) => Promise<StepsReply['outcomes']>,
  recorded: StepStore['recorded'],
): StepStore {
  const batcher = new Batcher<Waiting>(
    async (batch) => {
      try {
        const outcomes = await send(batch.map(({ record }) => record));
        const lost = new Set(
          outcomes.flatMap(({ runId, key, outcome }) =>
            outcome === 'lease-lost' ? [`${runId} ${key}`] : [],
          ),
        );
        for (const { record, done, failed } of batch) {
          if (lost.has(`${record.runId} ${record.key}`)) failed(leaseLost());
          else done();
        }
      } catch (error) {
        for (const { failed } of batch) failed(error);
      }
    },
    {
      maxItems: STEPS_A_CALL,
      maxInFlight: CALLS_IN_FLIGHT,
      size: ({ bytes }) => bytes,
      maxSize: MAX_CALL_BYTES,
    },
  );
  return {
    record: (record) =>
      new Promise((resolve, reject) => {
        const bytes = record.result === undefined ? 0 : JSON.stringify(record.result).length;
        batcher.add({ record, bytes, done: resolve, failed: reject });
      }),
    recorded,
  };
}

function leaseLost(): Aborted {
  return new Aborted('lost', 'another agent holds the task now');
}
