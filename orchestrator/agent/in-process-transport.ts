/** The transport of an agent that lives in the server's own process: the same calls, without HTTP. */
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { LogsRequest } from '../../domain/agent-protocol.ts';
import { type ErrorCode, SignalboxError } from '../../domain/errors.ts';
import type { AgentService } from '../service.ts';
import { ConnectionLost, type Transport } from './transport.ts';

/** What passes by itself; everything that is no refusal (a lost database connection) does as well. */
const PASSING: readonly ErrorCode[] = ['internal', 'unavailable', 'too-many-requests', 'disk-full'];

/** @param logs takes the lines that tasks log; without it they are dropped */
export function inProcessTransport(
  service: AgentService,
  logs: (request: LogsRequest) => void = () => undefined,
): Transport {
  return {
    register: (request) => ask(() => service.register(request)),
    claim: (id, request, signal) => ask(() => service.claim(id, request, signal), signal),
    complete: (id, ended, take) =>
      ask(() =>
        service.complete(id, { completions: ended.map(({ completion }) => completion), take }),
      ),
    recordSteps: (id, steps) => ask(() => service.recordSteps(id, steps)),
    heartbeat: (id, report) => ask(() => service.heartbeat(id, report)),
    logs: async (_id, request) => logs(request),
    once: (id, request) => ask(() => service.once(id, request)),
    result: (id, runId, taskKey) => ask(() => service.result(id, runId, taskKey)),
    steps: (id, runId) => ask(() => service.steps(id, runId)),
    startSubflow: (id, request) => ask(() => service.startSubflow(id, request)),
    waitRun: (id, runId, waitMs, signal) =>
      ask(() => service.waitRun(id, runId, waitMs, signal), signal),
    claimLooks: (id, request, signal) => ask(() => service.claimLooks(id, request, signal), signal),
    endLook: (id, end) => ask(() => service.endLook(id, end)),
    wait: (id, request, signal) => ask(() => service.wait(id, request, signal), signal),
    suspend: (id, request) => ask(() => service.suspend(id, request)),
    emit: (id, request) => ask(() => service.emit(id, request)),
    assetHistory: (id, assetKey) => ask(() => service.assetHistory(id, assetKey)),
    assetValue: (id, assetKey) => ask(() => service.assetValue(id, assetKey)),
    assetInput: (id, of) => ask(() => service.assetInput(id, of)),
    changePartitions: (id, request) => ask(() => service.changePartitions(id, request)),
    putBlob: (id, blob, path) => ask(() => service.putBlob(id, blob, createReadStream(path))),
    getBlob: (id, of, path) =>
      ask(async () => pipeline(await service.getBlob(id, of), createWriteStream(path))),
    cache: (id, request) => ask(() => service.cache(id, request)),
    artifact: (id, artifact) => ask(() => service.artifact(id, artifact)),
    stop: (id) => ask(() => service.stop(id)),
    close: async () => undefined,
  };
}

async function ask<T>(call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  signal?.throwIfAborted();
  try {
    return await call();
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof SignalboxError && !PASSING.includes(error.code)) throw error;
    throw new ConnectionLost(error instanceof Error ? error.message : String(error), error);
  }
}
