"""Read API of the library: a relation straight into Arrow, without files or state."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rivet.config.load import config_from_dict
from rivet.config.resolve import column_rules, resolve_tuning
from rivet.execution.snapshot.sessions import open_sessions
from rivet.model.arrow import arrow_schema
from rivet.model.relation import ReadRequest, Relation
from rivet.plan.build import table_relation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from rivet.config.resolve import ResolvedTuning
    from rivet.execution.snapshot.sessions import SessionPool
    from rivet.model.columns import ColumnRules


def open_reader(
    source: str | Mapping[str, Any], relation: str | Relation, columns: Mapping[str, str]
) -> pa.RecordBatchReader:
    """Open a session, describe the relation and return its reader; see `rivet.read`."""
    import os

    import pyarrow as pa

    wanted = (
        relation if isinstance(relation, Relation) else table_relation(relation, export_name="read")
    )
    config = config_from_dict(
        {
            "source": _source_block(source),
            "exports": [
                {
                    "name": "read",
                    "table": "read",
                    "format": "parquet",
                    "columns": dict(columns),
                    "destination": {"type": "stdout"},
                }
            ],
        },
        base_dir=Path.cwd(),
    )
    export = config.exports[0]
    tuning = resolve_tuning(config, export)
    sessions = open_sessions(config, tuning, os.environ)
    batches = _schema_and_batches(sessions, wanted, column_rules(export, is_file=False), tuning)
    # Begun here, so that a reader which nobody ever reads from closes its session too.
    schema = next(batches)
    return pa.RecordBatchReader.from_batches(schema, batches)


def _schema_and_batches(
    sessions: SessionPool, relation: Relation, rules: ColumnRules, tuning: ResolvedTuning
) -> Iterator[Any]:
    with sessions, sessions.acquire() as session:
        columns = session.columns(relation, rules)
        yield arrow_schema(columns)
        request = ReadRequest(
            relation=relation,
            columns=columns,
            batch_rows=tuning.batch_rows,
            batch_bytes=tuning.batch_bytes,
            max_value_bytes=tuning.max_value_bytes,
            is_whole=rules.takes_all,
        )
        stream = session.read(request)
        try:
            yield from stream
        finally:
            stream.close()


def _source_block(source: str | Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(source, str):
        return dict(source)
    scheme = source.partition(":")[0].lower()
    return {"type": scheme, "url": source}
