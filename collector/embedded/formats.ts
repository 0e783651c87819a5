/** What has to be known of ClickHouse's formats. */

/** The Content-Type that ClickHouse gives. */
export function contentType(format: string): string {
  const name = format.toLowerCase();
  if (
    /^(?:json|jsoncompact|jsonstrings|jsoncompactstrings|jsoncolumns.*|jsoncompactcolumns)$/.test(
      name,
    )
  ) {
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
