"""Refusals and warnings of what this version has not, and of other stores' ways to sign in."""

from __future__ import annotations

from support.hintcases.case import Case, body

_S3 = {"type": "s3", "bucket": "b", "region": "eu-west-1"}
_LOCAL = {"type": "local", "path": "out/{export}"}
_INCREMENTAL = {"mode": "incremental", "cursor_column": "id"}


def _export(broken, mended):
    return {"broken": body(broken), "mended": body(mended)}


CASES = (
    # What is not in this version.
    Case(
        "config/lint.py: use one of: {}",
        broken=body(source={"type": "mongo", "url": "mongodb://h/d"}),
        mended=body(),
    ),
    Case(
        "config/lint.py: use `mode: incremental` with a cursor",
        **_export({"mode": "cdc"}, _INCREMENTAL),
    ),
    Case(
        "config/lint.py: remove `partition_by` and {{partition}}",
        **_export(
            {
                "partition_by": "day",
                "destination": {"type": "local", "path": "out/{partition}"},
            },
            {"destination": {"type": "local", "path": "out"}},
        ),
    ),
    Case(
        "config/lint.py: use `verify: size`, the default",
        **_export({"verify": "content"}, {"verify": "size"}),
    ),
    Case(
        "config/lint.py: remove `{}`",
        **_export({"target": "bigquery"}, {}),
    ),
    Case(
        "config/lint.py: remove `shape_drift_warn_factor`, or set it to 0",
        **_export({"shape_drift_warn_factor": 2}, {"shape_drift_warn_factor": 0}),
    ),
    Case(
        "config/lint.py: use `batch_size_memory_mb`, which bounds every batch",
        **_export({"tuning": {"max_batch_memory_mb": 5}}, {"tuning": {"batch_size_memory_mb": 5}}),
    ),
    Case(
        "config/destination_rules.py: " + "configure one complete way to sign in",
        **_export({"destination": {**_S3, "access_key_env": "A"}}, {}),
    ),
    Case(
        "config/destination_rules.py: name those for it, such as `access_key_env`, or set "
        "`allow_anonymous: true`",
        **_export(
            {"destination": {**_S3, "endpoint": "https://example.org"}},
            {"destination": {**_S3, "endpoint": "https://example.org", "allow_anonymous": True}},
        ),
        is_run=False,
    ),
)
