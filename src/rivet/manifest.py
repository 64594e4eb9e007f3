"""`manifest.json` and `_SUCCESS`: what a destination's prefix holds, for any reader.

A manifest is a projection of the state: `build_manifest` is a pure function of records, so a lost
one can be written again. Readers take the parts a manifest lists and nothing else; a prefix is
whole when `_SUCCESS` holds the hash of `manifest.json` (`model/manifest_names.py` has the names
where several exports share one). This module must not read or write files.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import xxhash
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rivet.errors import ManifestMismatchError
from rivet.model.progress import Progress  # noqa: TC001 - a field of a model

if TYPE_CHECKING:
    from rivet.model.part import RecordedPart
    from rivet.model.plan import ExportPlan
    from rivet.model.source import Position
    from rivet.model.window import Window

__all__ = [
    "MANIFEST_NEWER",
    "MAX_MANIFEST_BYTES",
    "ROW_HASH_RENDER",
    "Manifest",
    "ManifestPart",
    "build_manifest",
    "check_manifest",
    "parse_manifest",
    "run_manifest_name",
    "success_marker",
]

MANIFEST_VERSION: Final = 1
MAX_MANIFEST_BYTES: Final = 64 * 1024 * 1024
MANIFEST_NEWER: Final = "RIVET_DATA_MANIFEST_NEWER"
UNKNOWN_FINGERPRINT: Final = "xxh3:0000000000000000"
ROW_HASH_RENDER: Final = "xxh3-128-i64-pyrivet-text-v1"

_READ_AGAIN: Final = "run the export again: it writes a new manifest"


class _Wire(BaseModel):
    # Readers take what they know: newer fields of any writer are not an error.
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class Extraction(_Wire):
    """How rows were taken, and from where to where.

    Attributes:
        cursor_low: Where the run's rows begin; null is open.
        cursor_high: Where they end.
        cursor_overlap: Rows from `cursor_low` up to here were taken by an earlier run as well: of
            rows with equal `overlap_key`, the one of the later run counts.
        guarantee: In plain words, which rows are certain to be there.
        not_covered: In plain words, what cannot be promised of the rows.
        source_row_count: Rows that the source holds of what was read, counted in the same instant;
            null where nobody asked for it.
        progress: Where the next run goes on; null where a run moves nothing.
        follows: The run that this one goes on from: its rows come after those of that one, and
            of the one which that one follows. Null where a run begins anew.
    """

    strategy: str = "full"
    cursor_column: str | None = None
    cursor_type: str | None = None
    cursor_low: str | None = None
    cursor_high: str | None = None
    cursor_overlap: str | None = None
    overlap_key: tuple[str, ...] | None = None
    guarantee: str | None = None
    source_row_count: int | None = None
    not_covered: tuple[str, ...] = ()
    progress: Progress | None = None
    follows: str | None = None


class Source(_Wire):
    """What was read; `schema` and `table` are null for a query."""

    engine: str = ""
    schema_name: str | None = Field(default=None, alias="schema")
    table: str | None = None
    extraction: Extraction = Extraction()


class Target(_Wire):
    """Where the parts are."""

    kind: str = ""
    uri: str = ""


class Snapshot(_Wire):
    """A place in the source's history, in its engine's own text; that of a run is the earliest.

    Chunks may be read at several places; a run names one only where all can be compared.
    """

    engine: str
    kind: str
    text: str
    is_approximate: bool = True


class ColumnCounts(_Wire):
    """Null count, least and greatest value of one column in one part; null where not tracked."""

    name: str
    null_count: int | None = None
    min: str | None = None
    max: str | None = None


class RowHash(_Wire):
    """How the column of row hashes was computed; `covered` is true for all source columns."""

    column: str = "_rivet_row_hash"
    covered: bool | tuple[str, ...] = True
    render: str


class ManifestPart(_Wire):
    """One data file.

    Attributes:
        part_id: From 1, unique in this manifest.
        path: Relative to the prefix.
        content_fingerprint: `xxh3:` and 16 hex digits over the file's bytes.
        content_md5: MD5 of the file's bytes, base64.
        status: Only `committed` parts are data.
        snapshot: Where this part was read, if that differs from the manifest's own.
    """

    part_id: int = Field(ge=0)
    path: str = Field(min_length=1)
    rows: int = Field(ge=0)
    size_bytes: int = Field(ge=0)
    content_fingerprint: str = UNKNOWN_FINGERPRINT
    content_md5: str | None = None
    status: str = "committed"
    chunk_index: int | None = None
    recorded_at: str | None = None
    snapshot: Snapshot | None = None
    columns: tuple[ColumnCounts, ...] = ()


class Manifest(_Wire):
    """One `manifest.json`, version 1; times are RFC 3339 text in UTC."""

    manifest_version: int
    run_id: str
    export_name: str
    export_family: str | None = None
    mode: Literal["batch", "cdc"] = "batch"
    started_at: str = ""
    finished_at: str | None = None
    status: str
    source: Source = Source()
    destination: Target = Target()
    format: str = ""
    compression: str = ""
    schema_fingerprint: str = UNKNOWN_FINGERPRINT
    row_count: int = Field(ge=0)
    part_count: int = Field(ge=0)
    snapshot: Snapshot | None = None
    row_hash: RowHash | None = None
    parts: tuple[ManifestPart, ...] = ()

    @property
    def committed(self) -> tuple[ManifestPart, ...]:
        """The parts that are data."""
        return tuple(part for part in self.parts if part.status == "committed")

    @property
    def moves_on(self) -> bool:
        """Whether an export goes on from what this run took, as far as the manifest tells."""
        told = self.source.extraction
        is_older = told.guarantee is not None and told.cursor_high is not None
        is_good = self.status == "success" and self.mode == "batch" and self.part_count > 0
        return is_good and (told.progress is not None or is_older)


def run_manifest_name(run_id: str) -> str:
    """Return the name of the copy that belongs to one run and is never replaced by another."""
    return f"manifest-{run_id}.json"


def build_manifest(  # noqa: PLR0913 - a pure function of everything a manifest says
    plan: ExportPlan,
    parts: tuple[RecordedPart, ...],
    *,
    started_at: datetime,
    finished_at: datetime | None,
    status: str,
    schema_fingerprint: str = UNKNOWN_FINGERPRINT,
    position: Position | None = None,
    window: Window | None = None,
    not_covered: tuple[str, ...] = (),
    source_row_count: int | None = None,
    progress: Progress | None = None,
) -> bytes:
    """Return the bytes of a run's manifest; the same records always give the same bytes.

    Args:
        plan: The run's plan.
        parts: Its recorded parts, in any order; they are listed by chunk and ordinal.
        started_at: Aware UTC.
        finished_at: Aware UTC; None while the run goes on.
        status: `success`, `failed`, `interrupted` or `running`.
        schema_fingerprint: As `model.arrow.schema_fingerprint` gives it.
        position: The earliest place in the source's history that was read; None where that is not
            known.
        window: What the run took, for modes that do not take everything.
        not_covered: What it cannot promise of the rows.
        source_row_count: What the source was counted to hold of it, in the same instant.
        progress: Where the next run goes on; sealed here.

    Returns:
        Pretty JSON in UTF-8, its keys in the order of `Manifest`, with a line feed at the end.
    """
    ordered = sorted(parts, key=lambda part: (part.chunk_index, part.claim_number, part.ordinal))
    manifest = Manifest(
        manifest_version=MANIFEST_VERSION,
        run_id=plan.run_id,
        export_name=plan.export_name,
        export_family=plan.export_name,
        mode="batch",
        started_at=_rfc3339(started_at),
        finished_at=None if finished_at is None else _rfc3339(finished_at),
        status=status,
        source=Source(
            engine=plan.engine,
            schema=plan.relation.schema,
            table=plan.relation.table,
            extraction=_extraction(plan, window).model_copy(
                update={
                    "not_covered": not_covered,
                    "source_row_count": source_row_count,
                    "progress": None if progress is None else progress.sealed(plan.run_id),
                }
            ),
        ),
        destination=Target(kind=plan.destination_type, uri=plan.destination_uri),
        format=plan.output.format,
        compression=str(plan.output.writer.compression),
        schema_fingerprint=schema_fingerprint,
        row_count=sum(part.stats.rows for part in ordered),
        part_count=len(ordered),
        snapshot=_snapshot(position),
        row_hash=_row_hash(plan),
        parts=tuple(_part(number, part, position) for number, part in enumerate(ordered, start=1)),
    )
    body = manifest.model_dump(mode="json", by_alias=True)
    return json.dumps(body, ensure_ascii=False, indent=2).encode() + b"\n"


def _extraction(plan: ExportPlan, window: Window | None) -> Extraction:
    if window is None:
        return Extraction(strategy=str(plan.mode))
    key = plan.facts.key if window.overlap is not None else None
    column = window.spans[0].columns[0] if window.spans else None
    return Extraction(
        strategy=str(plan.mode),
        cursor_column=column,
        cursor_low=window.low,
        cursor_high=window.high,
        cursor_overlap=window.overlap,
        overlap_key=key or None,
        guarantee=window.guarantee,
        follows=window.follows,
    )


def _part(number: int, part: RecordedPart, position: Position | None) -> ManifestPart:
    return ManifestPart(
        part_id=number,
        path=part.name,
        rows=part.stats.rows,
        size_bytes=part.stats.size_bytes,
        content_fingerprint=part.stats.content_hash,
        content_md5=part.stats.content_md5,
        chunk_index=part.chunk_index,
        recorded_at=_rfc3339(part.recorded_at),
        snapshot=None if part.instant == position else _snapshot(part.instant),
        columns=tuple(
            ColumnCounts(
                name=column.name,
                null_count=column.null_count,
                min=column.minimum,
                max=column.maximum,
            )
            for column in part.stats.columns
        ),
    )


def _snapshot(position: Position | None) -> Snapshot | None:
    if position is None:
        return None
    return Snapshot(
        engine=position.engine,
        kind=position.kind,
        text=position.text,
        is_approximate=position.is_approximate,
    )


def _row_hash(plan: ExportPlan) -> RowHash | None:
    columns = plan.output.row_hash
    if columns is None:
        return None
    return RowHash(covered=columns or True, render=ROW_HASH_RENDER)


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def success_marker(manifest: bytes) -> bytes:
    """Return the body of `_SUCCESS` for a manifest's exact bytes: `xxh3:<16 hex>` and LF."""
    return f"xxh3:{xxhash.xxh3_64_hexdigest(manifest)}\n".encode("ascii")


def parse_manifest(body: bytes, *, max_bytes: int = MAX_MANIFEST_BYTES) -> Manifest:
    """Read a manifest; fields this version does not know are dropped.

    Args:
        body: What the file holds.
        max_bytes: The most that it may be.

    Raises:
        ManifestMismatchError: It is too large, not JSON, not a manifest, of another version, or
            its numbers do not agree with one another.
    """
    if len(body) > max_bytes:
        msg = f"the manifest is {len(body):,} bytes, more than {max_bytes:,}"
        raise ManifestMismatchError(msg, hint=_READ_AGAIN)
    try:
        raw: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        msg = "the manifest is not JSON"
        raise ManifestMismatchError(msg, hint=_READ_AGAIN) from error
    version = raw.get("manifest_version") if isinstance(raw, dict) else None
    if isinstance(version, int) and version != MANIFEST_VERSION:
        shown = str(version)[:20]
        msg = f"the manifest has version {shown}, this Rivet reads version {MANIFEST_VERSION}"
        raise ManifestMismatchError(msg, hint="use a newer Rivet to read it", code=MANIFEST_NEWER)
    try:
        manifest = Manifest.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "the document"
        msg = f"the manifest is not valid at {where}: {first['msg'].lower()}"
        raise ManifestMismatchError(msg, hint=_READ_AGAIN) from error
    problems = check_manifest(manifest)
    if problems:
        msg = f"the manifest contradicts itself: {'; '.join(problems)}"
        raise ManifestMismatchError(msg, hint=_READ_AGAIN)
    return manifest


def check_manifest(manifest: Manifest) -> list[str]:
    """Return what in a manifest does not agree with itself; nothing means it does."""
    problems: list[str] = []
    committed = manifest.committed
    if manifest.part_count != len(committed):
        problems.append(f"part_count is {manifest.part_count}, {len(committed)} parts are listed")
    rows = sum(part.rows for part in committed)
    if manifest.row_count != rows:
        problems.append(f"row_count is {manifest.row_count}, the parts hold {rows}")
    for label, values in (
        ("part_id", [part.part_id for part in manifest.parts]),
        ("path", [part.path for part in manifest.parts]),
    ):
        if len(set(values)) != len(values):
            problems.append(f"a {label} is listed twice")
    if any(_leaves_prefix(part.path) for part in manifest.parts):
        problems.append("a path leads out of the prefix")
    return problems


def _leaves_prefix(path: str) -> bool:
    return path.startswith(("/", "\\")) or ".." in path.replace("\\", "/").split("/")
