/** ExportLogsServiceRequest from its wire format. */
import { emptyLog, type LogRecord, type LogSink } from './model.ts';
import { readKeyValue, readRequest, readValueText } from './protobuf-parts.ts';
import { WireReader } from './wire.ts';

/** @throws MalformedProtobufError */
export function readLogsProtobuf(body: Uint8Array, sink: LogSink): void {
  const reader = new WireReader(body);
  readRequest(reader, (resource, scope) => sink.log(resource, scope, readLog(reader)));
}

function readLog(reader: WireReader): LogRecord {
  const record = emptyLog();
  const attributes: string[] = [];
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        record.timeNs = reader.fixed64();
        break;
      case 2:
        record.severityNumber = reader.int32();
        break;
      case 3:
        record.severityText = reader.string();
        break;
      case 5:
        record.body = readValueText(reader);
        break;
      case 6:
        readKeyValue(reader, attributes);
        break;
      case 8:
        record.flags = reader.fixed32();
        break;
      case 9:
        record.traceId = reader.hex();
        break;
      case 10:
        record.spanId = reader.hex();
        break;
      case 11:
        record.observedNs = reader.fixed64();
        break;
      case 12:
        record.eventName = reader.string();
        break;
      default:
        reader.skip();
    }
  }
  record.attributes = attributes;
  return record;
}
