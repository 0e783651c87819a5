/** What a task writes to `process.stdout` and `process.stderr` in its own process goes to its log. */
import { currentTask } from '../task-scope.ts';
import { LineSplitter } from './line-splitter.ts';

type Write = NodeJS.WriteStream['write'];

/** Starts capturing; what no task wrote goes where it went before. */
export function capturePrinting(): void {
  capture(process.stdout, 'info');
  capture(process.stderr, 'warn');
}

function capture(stream: NodeJS.WriteStream, level: 'info' | 'warn'): void {
  const write = stream.write.bind(stream) as Write;
  const splitters = new WeakMap<object, LineSplitter>();
  stream.write = ((chunk: string | Uint8Array, ...rest: unknown[]) => {
    const scope = currentTask();
    if (scope === undefined) return Reflect.apply(write, stream, [chunk, ...rest]);
    const splitter =
      splitters.get(scope) ??
      new LineSplitter((line) => {
        if (scope.log.hasRoom(level)) scope.log[level](line);
      });
    if (!splitters.has(scope)) {
      splitters.set(scope, splitter);
      scope.atEnd(() => splitter.end());
    }
    splitter.write(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
    const done = rest.find((one) => typeof one === 'function') as (() => void) | undefined;
    if (done) setImmediate(done);
    return true;
  }) as Write;
}
