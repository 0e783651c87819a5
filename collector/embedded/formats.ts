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

const HEADED_CHUNKS =
  /^(?:(?:TabSeparated|TSV|TabSeparatedRaw|TSVRaw|CSV|JSONCompactEachRow|JSONCompactStringsEachRow|RowBinary)WithNames(?:AndTypes)?)$/i;

/** True when each piece of a result begins with the same header, which must be told only once. */
export function repeatsHeader(format: string): boolean {
  return HEADED_CHUNKS.test(format);
}

/** Length of the header at the beginning of a piece in such a format. */
export function headerLength(format: string, piece: Uint8Array): number {
  const hasTypes = /types$/i.test(format);
  if (/^rowbinary/i.test(format)) return binaryHeaderLength(piece, hasTypes);
  const isCsv = /^csv/i.test(format);
  let lines = hasTypes ? 2 : 1;
  let isQuoted = false;
  for (let at = 0; at < piece.byteLength; at += 1) {
    if (isCsv && piece[at] === QUOTE) isQuoted = !isQuoted;
    if (piece[at] === LINE_END && !isQuoted) lines -= 1;
    if (lines === 0) return at + 1;
  }
  return piece.byteLength;
}

const QUOTE = 0x22;
const LINE_END = 0x0a;

/** The number of columns, then each name and each type with its length. */
function binaryHeaderLength(piece: Uint8Array, hasTypes: boolean): number {
  let at = 0;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = piece[at] ?? 0;
      at += 1;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  let texts = number() * (hasTypes ? 2 : 1);
  for (; texts > 0; texts -= 1) at += number();
  return at;
}

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
