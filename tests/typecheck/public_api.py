"""The public library as a caller's type checker sees it; checked by mypy, never run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, assert_type

import rivet

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from rivet.events import Event


def on_event(event: Event) -> None:
    """Take an event."""


config = rivet.load_config(Path("rivet.yaml"), params={"day": "2024-02-29"})
assert_type(config, rivet.Config)

report = rivet.run(config, exports=["orders"], validate=True, check=False, on_event=on_event)
assert_type(report, rivet.RunReport)
assert_type(rivet.run("rivet.yaml", params={"day": "2024-02-29"}), rivet.RunReport)
assert_type(rivet.run("rivet.yaml", parallel_export_processes=4, reconcile=True), rivet.RunReport)
assert_type(rivet.run("rivet.yaml", parallel_exports=True), rivet.RunReport)
assert_type(rivet.run({"source": {"type": "sqlite"}, "exports": []}), rivet.RunReport)

exports: Sequence[rivet.ExportReport] = report.exports

reader: pa.RecordBatchReader = rivet.read("sqlite:///shop.db", "orders")
reader = rivet.read(
    {"type": "postgresql", "url_env": "DATABASE_URL"},
    rivet.Relation(query="SELECT 1 AS one"),
    columns={"one": "decimal(18,4)"},
)

try:
    rivet.run("rivet.yaml")
except rivet.RivetError as error:
    assert_type(error.exit_status, int)
    assert_type(error.hint, str | None)
