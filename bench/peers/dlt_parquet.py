"""dlt's `sql_table` to its filesystem destination. Arguments: URL, table, folder, backend."""

import sys
from pathlib import Path

import dlt
from dlt.sources.sql_database import sql_table

url, table, folder, backend = sys.argv[1:5]
pipeline = dlt.pipeline(
    "bench",
    destination=dlt.destinations.filesystem(bucket_url=Path(folder).absolute().as_uri()),
    dataset_name="bench",
    pipelines_dir=str(Path(folder).with_name("pipelines").absolute()),
)
options = {"return_type": "arrow"} if backend == "connectorx" else {}
is_mysql = url.startswith("mysql")
resource = sql_table(
    credentials=url.replace("mysql://", "mysql+pymysql://"),
    schema=None if is_mysql else "public",
    table=table,
    backend=backend,
    chunk_size=100_000,
    backend_kwargs=options,
)
pipeline.run(resource, loader_file_format="parquet")
