"""Print the rows and the bytes of all Parquet files below a folder. Argument: folder."""

import sys
from pathlib import Path

import pyarrow.parquet as pq

files = [
    file for file in Path(sys.argv[1]).rglob("*.parquet") if "_dlt" not in str(file.parent.name)
]
print(sum(pq.read_metadata(file).num_rows for file in files), sum(f.stat().st_size for f in files))
