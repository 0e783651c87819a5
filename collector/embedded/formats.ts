/** What has to be known of ClickHouse's formats to send a result on in pieces. */

const PLAIN_CHUNKS = new Set(
  [
    'TabSeparated',
    'TSV',
    'TabSeparatedRaw',
    'TSVRaw',
    'Raw',
    'CSV',
    'TSKV',
    'JSONEachRow',
    'JSONLines',
    'NDJSON',
    'JSONStringsEachRow',
    'JSONCompactEachRow',
    'JSONCompactStringsEachRow',
    'RowBinary',
    'Native',
    'LineAsString',
    'MsgPack',
  ].map((name) => name.toLowerCase()),
);

/** True when results in this format can be put one after the other to give one result. */
export function canConcatenate(format: string): boolean {
  return PLAIN_CHUNKS.has(format.toLowerCase());
}

/** The Content-Type that ClickHouse gives. */
export function contentType(format: string): string {
  const name = format.toLowerCase();
  if (/^(?:json|jsoncompact|jsonstrings|jsoncompactstrings|jsoncolumns.*|jsoncompactcolumns)$/.test(name)) {
    return 'application/json; charset=UTF-8';
  }
  if (/eachrow|ndjson|jsonlines/.test(name)) return 'application/x-ndjson; charset=UTF-8';
  if (name === 'csv') return 'text/csv; charset=UTF-8; header=absent';
  if (name.startsWith('csv')) return 'text/csv; charset=UTF-8; header=present';
  if (/^(?:tsv|tabseparated|tskv)/.test(name)) return 'text/tab-separated-values; charset=UTF-8';
  if (name === 'xml') return 'application/xml; charset=UTF-8';
  if (/native|binary|parquet|arrow|orc|avro|msgpack|protobuf|rawblob/.test(name)) {
    return 'application/octet-stream';
  }
  return 'text/plain; charset=UTF-8';
}
