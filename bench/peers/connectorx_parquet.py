"""connectorx's stream of batches, written by pyarrow. Arguments: URL, table, folder."""

import sys
from pathlib import Path

import connectorx
import pyarrow.parquet as pq

url, table, folder = sys.argv[1:4]
reader = connectorx.read_sql(
    url, f"SELECT * FROM {table}", return_type="arrow_stream", batch_size=131_072
)
with pq.ParquetWriter(
    Path(folder, f"{table}.parquet"), reader.schema, compression="zstd"
) as writer:
    for batch in reader:
        writer.write_batch(batch)
