"""The quality rules of one run."""

from __future__ import annotations

import pyarrow as pa
import pytest

from rivet.errors import PlanError
from rivet.execution.worker.quality import QualityGate
from rivet.model.quality import QualityRules

BATCH = pa.record_batch({"id": [1, 2, 3, None], "name": ["a", "a", None, None]})


def judged(rules: QualityRules, *batches: pa.RecordBatch) -> tuple[list[str], list[str]]:
    gate = QualityGate(rules, BATCH.schema)
    for batch in batches:
        gate.observe(batch)
    return gate.verdict()


def test_no_rules_find_nothing() -> None:
    assert judged(QualityRules(), BATCH) == ([], [])
    assert judged(QualityRules()) == ([], [])


@pytest.mark.parametrize(
    ("least", "most", "problems"),
    [
        (8, 8, []),
        (9, None, ["8 rows, at least 9 expected"]),
        (None, 7, ["8 rows, at most 7 expected"]),
    ],
)
def test_row_counts_are_inclusive_and_count_all_batches(least, most, problems) -> None:
    rules = QualityRules(row_count_min=least, row_count_max=most)
    assert judged(rules, BATCH, BATCH) == (problems, [])


def test_no_rows_are_too_few() -> None:
    assert judged(QualityRules(row_count_min=1))[0] == ["0 rows, at least 1 expected"]


def test_null_ratios() -> None:
    assert judged(QualityRules(null_ratio_max={"name": 0.5, "id": 0.25}), BATCH) == ([], [])
    problems, _ = judged(QualityRules(null_ratio_max={"name": 0.4}), BATCH)
    assert problems == [
        "column 'name': 2 of 4 values are NULL, a share of 0.5000 where 0.4 is allowed"
    ]
    assert judged(QualityRules(null_ratio_max={"name": 0.0})) == ([], [])


def test_duplicates_across_batches_and_nulls_do_not_count() -> None:
    assert judged(QualityRules(unique_columns=("id",)), BATCH) == ([], [])
    problems, _ = judged(QualityRules(unique_columns=("id",)), BATCH, BATCH)
    assert problems == ["column 'id': 3 values are not unique"]
    problems, _ = judged(QualityRules(unique_columns=("id", "name")), BATCH)
    assert problems == ["column 'name': 1 values are not unique"]


def test_messages_hold_no_values() -> None:
    problems, _ = judged(QualityRules(unique_columns=("name",)), BATCH)
    assert "'a'" not in problems[0]


def test_a_full_memory_is_a_remark() -> None:
    rules = QualityRules(unique_columns=("id",), unique_max_entries=2)
    problems, remarks = judged(rules, BATCH, BATCH)
    assert problems == []
    assert remarks == ["column 'id' holds more than 2 distinct values: uniqueness was not checked"]
    exact = QualityRules(unique_columns=("id",), unique_max_entries=3)
    assert judged(exact, BATCH) == ([], [])


def test_missing_columns_are_all_named_at_once() -> None:
    rules = QualityRules(null_ratio_max={"x": 0.1, "id": 0.1}, unique_columns=("y", "x"))
    with pytest.raises(PlanError, match="'x', 'y'"):
        QualityGate(rules, BATCH.schema)
