"""Data quality gate: check rows by the `quality:` rules before anything is published."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import xxhash

from rivet.errors import PlanError, QualityGateError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from rivet.model.quality import QualityRules


@dataclass(slots=True)
class _Distinct:
    """What is known of one column that must be unique."""

    hashes: set[int] = field(default_factory=set)
    values: int = 0
    is_capped: bool = False


class QualityGate:
    """Counts what the rules ask about, batch by batch.

    Memory is bounded by `unique_max_entries` per unique column. Two values count as the same when
    the 64-bit xxh3 of their text is: among five million values, one false alarm in a million runs.

    Raises:
        PlanError: Rules name columns that are not there; all of them are named.
    """

    def __init__(self, rules: QualityRules, schema: pa.Schema) -> None:
        asked = (*rules.null_ratio_max, *rules.unique_columns)
        missing = sorted({name for name in asked if name not in schema.names})
        if missing:
            listed = ", ".join(f"'{name}'" for name in missing)
            msg = f"`quality` names columns that the export does not have: {listed}"
            known = ", ".join(schema.names)
            raise PlanError(msg, hint=f"columns of the export: {known}", code="RIVET_PLAN_QUALITY")
        self._rules = rules
        self._places = {name: schema.get_field_index(name) for name in asked}
        self._rows = 0
        self._nulls = dict.fromkeys(rules.null_ratio_max, 0)
        self._distinct = {name: _Distinct() for name in rules.unique_columns}

    def observe(self, batch: pa.RecordBatch) -> None:
        """Count one batch; columns stand where the schema has them."""
        self._rows += batch.num_rows
        for name in self._nulls:
            self._nulls[name] += batch.column(self._places[name]).null_count
        for name, distinct in self._distinct.items():
            if not distinct.is_capped:
                self._remember(batch.column(self._places[name]), distinct)

    def _remember(self, column: pa.Array, distinct: _Distinct) -> None:
        from rivet.model.arrowtext import text_array

        limit = self._rules.unique_max_entries
        for value in text_array(column).drop_null():
            distinct.hashes.add(xxhash.xxh3_64_intdigest(value.as_buffer()))
            distinct.values += 1
            if len(distinct.hashes) > limit:
                distinct.is_capped = True
                distinct.hashes = set()
                return

    def merge(self, other: QualityGate) -> None:
        """Add what another gate of the same rules has observed."""
        self._rows += other._rows
        for name, count in other._nulls.items():
            self._nulls[name] += count
        for name, theirs in other._distinct.items():
            self._join(self._distinct[name], theirs)

    def to_json(self) -> dict[str, Any]:
        """Return what was observed; hashes as base64 of 64-bit numbers, the lowest byte first."""
        return {
            "rows": self._rows,
            "nulls": self._nulls,
            "distinct": {
                name: [one.values, one.is_capped, _packed(one.hashes)]
                for name, one in self._distinct.items()
            },
        }

    def merge_json(self, body: Mapping[str, Any]) -> None:
        """Add what a gate of the same rules had observed.

        Raises:
            KeyError: It is one of other rules.
            ValueError: It is not what was written.
        """
        self._rows += int(body["rows"])
        for name in self._nulls:
            self._nulls[name] += int(body["nulls"][name])
        for name, mine in self._distinct.items():
            values, is_capped, packed = body["distinct"][name]
            self._join(mine, _Distinct(_unpacked(packed), int(values), bool(is_capped)))

    def _join(self, mine: _Distinct, theirs: _Distinct) -> None:
        mine.values += theirs.values
        mine.hashes |= theirs.hashes
        is_over = len(mine.hashes) > self._rules.unique_max_entries
        if mine.is_capped or theirs.is_capped or is_over:
            mine.is_capped, mine.hashes = True, set()

    def verdict(self) -> tuple[list[str], list[str]]:
        """Judge what was observed.

        Returns:
            Problems, each of which fails the run, and remarks, which do not.
        """
        return (
            [*self._row_problems(), *self._null_problems(), *self._duplicate_problems()],
            [
                f"column '{name}' holds more than {self._rules.unique_max_entries:,} distinct "
                "values: uniqueness was not checked"
                for name, distinct in self._distinct.items()
                if distinct.is_capped
            ],
        )

    def refuse(self, export_name: str, hint: str) -> None:
        """Refuse rows that break the rules.

        Args:
            export_name: For the message.
            hint: What became of the files.

        Raises:
            QualityGateError: They do not hold.
        """
        problems, _ = self.verdict()
        if problems:
            msg = (
                f"export '{export_name}': {len(problems)} quality check(s) failed: "
                f"{'; '.join(problems)}"
            )
            raise QualityGateError(msg, hint=hint, rows_read=self._rows)

    def _row_problems(self) -> list[str]:
        least, most = self._rules.row_count_min, self._rules.row_count_max
        if least is not None and self._rows < least:
            return [f"{self._rows:,} rows, at least {least:,} expected"]
        if most is not None and self._rows > most:
            return [f"{self._rows:,} rows, at most {most:,} expected"]
        return []

    def _null_problems(self) -> list[str]:
        problems = []
        for name, limit in self._rules.null_ratio_max.items():
            ratio = self._nulls[name] / self._rows if self._rows else 0.0
            if ratio > limit:
                problems.append(
                    f"column '{name}': {self._nulls[name]:,} of {self._rows:,} values are NULL, "
                    f"a share of {ratio:.4f} where {limit:g} is allowed"
                )
        return problems

    def _duplicate_problems(self) -> list[str]:
        problems = []
        for name, distinct in self._distinct.items():
            duplicates = distinct.values - len(distinct.hashes)
            if duplicates and not distinct.is_capped:
                problems.append(f"column '{name}': {duplicates:,} values are not unique")
        return problems


def _packed(hashes: set[int]) -> str:
    return b64encode(b"".join(one.to_bytes(8, "little") for one in hashes)).decode("ascii")


def _unpacked(text: str) -> set[int]:
    body = b64decode(text, validate=True)
    return {int.from_bytes(body[at : at + 8], "little") for at in range(0, len(body), 8)}
