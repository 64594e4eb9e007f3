"""What a run prints: every number once, every failure once, and little where exports are many."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from pathlib import Path

import pytest

_GOLDENS = Path(__file__).parents[1] / "golden" / "words"
_TABLES = 1_500
_MOST_LINES = 60


def _masked(text, directory):
    text = text.replace(str(directory), "<folder>")
    text = re.sub(r"\d{8}T\d{6}\.\d{3}_[0-9a-f]{8}", "<id>", text)
    text = re.sub(r" +\b(\d+m )?\d+(\.\d+)?(ms|s)\b", " <time>", text)
    text = re.sub(r"(?m)^(  [\w ]+:) +", r"\1 ", text)
    text = re.sub(r"  longest statement: .*\n", "", text)  # not where it took no time
    return re.sub(r" *\d+(\.\d+)? (MB|KB|B)\b", " <size>", text)


@pytest.mark.parametrize("name", ["three-good", "three-two-failed", "one-good", "one-failed"])
def test_every_number_and_every_failure_is_told_once(rivet, shop, name):
    tables = {"orders": "orders", "again": "orders", "empty": "empty"}
    if "failed" in name:
        tables |= {"again": "nowhere", "empty": "missing"}
    shop.configure(*({"name": name, "table": table} for name, table in tables.items()))
    which = ("-e", "again") if name.startswith("one") else ()
    done = rivet("run", "-c", shop.config, *which)
    told = _masked(done.expect(1 if "failed" in name else 0).stderr, shop.directory)
    golden = _GOLDENS / f"{name}.txt"
    if os.environ.get("RIVET_WRITE_GOLDENS"):
        golden.write_text(told, encoding="utf-8")
    assert told == golden.read_text(encoding="utf-8")
    for word in re.findall(r"no table or view '\w+'", done.stderr):
        assert done.stderr.count(word) == 1


def test_1500_tables_end_with_few_lines(rivet, tmp_path):
    """Nearly all fail as soon as they are described, which is cheap."""
    exports = [f"table_{n}" for n in range(_TABLES)]
    with sqlite3.connect(tmp_path / "many.db") as database:
        database.execute("CREATE TABLE there AS SELECT 1 AS id")
    body = {
        "source": {"type": "sqlite", "path": "many.db"},
        "exports": [
            {
                "name": name,
                "table": "there" if at % 100 == 0 else name,
                "format": "csv",
                "destination": {"type": "local", "path": f"out/{name}"},
            }
            for at, name in enumerate(exports)
        ],
    }
    (tmp_path / "rivet.yaml").write_text(json.dumps(body))
    done = rivet("run", "-c", tmp_path / "rivet.yaml", "--parallel-exports=4").expect(1)
    cards, _, end = done.stderr.rpartition("\n\n════")
    assert cards.count("\n") < _TABLES
    assert end.count("\n") < _MOST_LINES
    groups = [line for line in end.splitlines() if line.startswith("    - ")]
    assert len(groups) == 1, groups
    assert groups[0].startswith(
        "    - 1,485 exports: such as [RIVET_SOURCE_TABLE_NOT_FOUND] no table"
    )
    assert "Error: [RIVET_EXPORTS_FAILED] 1,485 of 1,500 exports failed: 'table_" in end
    assert "  committed: 15 exports, 15 rows in 15 files\n" in end
