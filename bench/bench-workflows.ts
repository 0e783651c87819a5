/** The shapes that throughput is measured with; every task does nothing. */
import { type TaskRef, workflow } from '../orchestrator/index.ts';

export interface Shape {
  readonly workflow: string;
  readonly title: string;
  readonly runs: number;
  readonly tasks: number;
}

/** Tasks of `bench-chain`. */
export const CHAIN = 10;
const FAN_OUT = 100;
const LAYERS = 100;
const WIDTH = 100;

export const SHAPES: readonly Shape[] = [
  { workflow: 'bench-chain', title: '1,000 runs × chain of 10', runs: 1_000, tasks: CHAIN },
  {
    ...{ workflow: 'bench-fan-out', title: '100 runs × fan-out of 100', runs: 100 },
    tasks: FAN_OUT + 2,
  },
  { workflow: 'bench-dag', title: 'one graph of 10,000', runs: 1, tasks: LAYERS * WIDTH },
  { workflow: 'bench-single', title: '10,000 runs of one task', runs: 10_000, tasks: 1 },
];

const idle = async () => null;

/** A chain whose tasks go to and fro between two queues. */
export const TWO_QUEUES = 'bench-two-queues';
export const OTHER_QUEUE = 'bench-other';

export const workflows = [
  workflow('bench-single', {}, (w) => {
    w.task('only', {}, idle);
  }),
  workflow('bench-chain', {}, (w) => {
    let before: TaskRef<null>[] = [];
    for (let index = 0; index < CHAIN; index += 1) {
      before = [w.task(`t${index}`, { after: before }, idle)];
    }
  }),
  workflow(TWO_QUEUES, {}, (w) => {
    let before: TaskRef<null>[] = [];
    for (let index = 0; index < CHAIN; index += 1) {
      const queue = index % 2 === 0 ? 'default' : OTHER_QUEUE;
      before = [w.task(`t${index}`, { after: before, queue }, idle)];
    }
  }),
  workflow('bench-fan-out', {}, (w) => {
    const root = w.task('root', {}, idle);
    const leaves = Array.from({ length: FAN_OUT }, (_, index) =>
      w.task(`leaf${index}`, { after: [root] }, idle),
    );
    w.task('join', { after: leaves }, idle);
  }),
  workflow('bench-dag', {}, (w) => {
    let layer: TaskRef<null>[] = [];
    for (let depth = 0; depth < LAYERS; depth += 1) {
      const above = layer;
      layer = Array.from({ length: WIDTH }, (_, index) =>
        w.task(
          `t${depth}-${index}`,
          {
            after: [above[index], above[(index + 1) % WIDTH]].filter((task) => task !== undefined),
          },
          idle,
        ),
      );
    }
  }),
];
