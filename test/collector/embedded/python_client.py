"""Drives a server through clickhouse-connect and prints what came back as one line of JSON."""

import json
import os
import sys
from datetime import datetime, timezone

import clickhouse_connect
from clickhouse_connect.driver.exceptions import DatabaseError


def connect(user, password, **options):
    return clickhouse_connect.get_client(
        host=os.environ["CLICKHOUSE_HOST"],
        port=int(os.environ["CLICKHOUSE_PORT"]),
        username=user,
        password=password,
        **options,
    )


def refusal(work):
    try:
        work()
    except DatabaseError as error:
        return str(error)
    return "no refusal"


def run(compression):
    writer = connect("writer", os.environ["WRITER_PASSWORD"], compress=compression)
    reader = connect("reader", os.environ["READER_PASSWORD"], compress=compression, database="otel")
    table = f"otel.python_{str(compression).lower()}"
    writer.command(
        f"CREATE TABLE {table} (id UInt64, name LowCardinality(String), time DateTime64(6), "
        "tags Map(String, String), maybe Nullable(Float64)) ENGINE = MergeTree ORDER BY id"
    )
    time = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)
    rows = [
        [id, f"n{id % 10}", time, {"key": str(id)}, id / 2 if id % 2 else None] for id in range(20_000)
    ]
    writer.insert(table, rows, column_names=["id", "name", "time", "tags", "maybe"])
    count, total = reader.query(f"SELECT count(), sum(id) FROM {table}").result_rows[0]
    row = reader.query(
        f"SELECT name, toString(time), tags, maybe FROM {table} WHERE id = {{id:UInt64}}", parameters={"id": 4321}
    ).result_rows[0]
    with reader.query_row_block_stream(f"SELECT id FROM {table} ORDER BY id") as stream:
        streamed = sum(len(block) for block in stream)
    raw = reader.raw_query("SELECT 1 AS a", fmt="JSONEachRow").decode()
    session = connect("writer", os.environ["WRITER_PASSWORD"], compress=compression, session_id=f"python-{compression}")
    session.command("CREATE TEMPORARY TABLE kept (a UInt8)")
    session.insert("kept", [[1], [2]], column_names=["a"])
    return {
        "compression": str(compression),
        "version": reader.server_version,
        "count": count,
        "total": total,
        "row": list(row),
        "streamed": streamed,
        "raw": raw,
        "kept": session.command("SELECT count() FROM kept"),
        "unknown": refusal(lambda: reader.query("SELECT nope")),
        "denied": refusal(lambda: reader.command(f"DROP TABLE {table}")),
        "limited": refusal(lambda: writer.query("SELECT number FROM numbers(100)", settings={"max_result_rows": 10})),
        "wrong": refusal(lambda: connect("reader", "wrong")),
        "tables": reader.command(f"EXISTS {table}"),
    }


for compression in sys.argv[1:]:
    print(json.dumps(run(False if compression == "none" else compression)))
