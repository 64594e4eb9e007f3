"""ADBC's batches, written by pyarrow as they come. Arguments: URL, table, folder."""

import sys
from pathlib import Path

import adbc_driver_postgresql.dbapi
import pyarrow.parquet as pq

url, table, folder = sys.argv[1:4]
with adbc_driver_postgresql.dbapi.connect(url) as connection, connection.cursor() as cursor:
    cursor.execute(f"SELECT * FROM {table}")
    reader = cursor.fetch_record_batch()
    path = Path(folder, f"{table}.parquet")
    with pq.ParquetWriter(path, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
