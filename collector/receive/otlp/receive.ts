/**
 * The OTLP/HTTP receiver. An answer of 200 means that the rows are in ClickHouse. What it holds at a time is
 * bounded: beyond the limit the sender is asked to come again (429), and keeps the data meanwhile.
 */
import { SignalboxError } from '../../../domain/errors.ts';
import type { PoolSample } from '../../../domain/events.ts';
import type { Clock } from '../../../domain/time.ts';
import { messageOf, RefusedDataError } from '../../clickhouse/connection.ts';
import type { Writer } from '../../clickhouse/writer.ts';
import type { Collector, OtlpAnswer, OtlpSignal } from '../../service.ts';
import { accepted, failed, type OtlpEncoding } from './answer.ts';
import { createDecompressor } from './decompress.ts';
import { createPoolMemory } from './pool-points.ts';
import { createOtlpReader, type ReadOtlp } from './read.ts';

export interface OtlpReceiverOptions {
  readonly writer: Pick<Writer, 'insert'>;
  readonly clock: Clock;
  log(message: string): void;
  recordPools(samples: readonly PoolSample[]): Promise<void>;
  /** Bytes of bodies, before and after decompression, that may be held at a time. */
  readonly maxInFlightBytes?: number;
}

const MAX_IN_FLIGHT_BYTES = 64 * 1024 * 1024;

type OtlpRequest = Parameters<Collector['receiveOtlp']>[1];

/** Makes the receiver. */
export function createOtlpReceiver(options: OtlpReceiverOptions): Collector['receiveOtlp'] {
  const { writer, clock, log } = options;
  const decompress = createDecompressor();
  const pools = createPoolMemory();
  const readOtlp = createOtlpReader();
  const limit = options.maxInFlightBytes ?? MAX_IN_FLIGHT_BYTES;
  let inFlight = 0;

  /** @throws SignalboxError `too-many-requests` */
  function reserve(bytes: number): void {
    if (inFlight > 0 && inFlight + bytes > limit) {
      throw new SignalboxError('too-many-requests', 'too many bytes are being taken in at once');
    }
    inFlight += bytes;
  }

  async function take(signal: OtlpSignal, encoding: OtlpEncoding, request: OtlpRequest) {
    let held = 0;
    try {
      reserve(request.body.length);
      held = request.body.length;
      const body = await decompress(request.body, request.contentEncoding);
      if (body !== request.body) {
        reserve(body.length);
        held += body.length;
      }
      const poolPoints = pools.open();
      const read = readOtlp(signal, encoding, body, clock.now(), poolPoints);
      await insertAll(writer, read);
      const samples = poolPoints.samples();
      if (samples.length > 0) await options.recordPools(samples);
      return accepted(encoding, signal, read.refusals);
    } finally {
      inFlight -= held;
    }
  }

  return async (signal, request): Promise<OtlpAnswer> => {
    const encoding = encodingOf(request.contentType);
    if (!encoding) {
      const known = 'application/x-protobuf, application/json';
      return failed('json', new SignalboxError('unsupported-media-type', known));
    }
    try {
      return await take(signal, encoding, request);
    } catch (error) {
      if (error instanceof SignalboxError) return failed(encoding, error);
      log(`taking in ${signal} failed: ${messageOf(error)}`);
      return failed(encoding, new SignalboxError('internal'));
    }
  };
}

function encodingOf(contentType: string): OtlpEncoding | undefined {
  const [type = ''] = contentType.split(';', 1);
  const name = type.trim().toLowerCase();
  if (name === 'application/x-protobuf' || name === 'application/protobuf') return 'protobuf';
  return name === 'application/json' ? 'json' : undefined;
}

/** All tables at once; rows that ClickHouse cannot take are counted as rejected, the others stay. */
async function insertAll(writer: Pick<Writer, 'insert'>, { tables, refusals }: ReadOtlp) {
  await Promise.all(
    tables.map(async ({ table, format, rows }) => {
      try {
        await writer.insert(table, rows, format);
      } catch (error) {
        if (!(error instanceof RefusedDataError)) throw error;
        refusals.add('ClickHouse cannot hold these rows', rows.count);
      }
    }),
  );
}
