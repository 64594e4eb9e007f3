"""`include`, `exclude`, `rename`, `mask` through the command, and what is said when they fail."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing

import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML


@pytest.fixture
def people(tmp_path):
    with closing(sqlite3.connect(tmp_path / "people.db")) as connection, connection:
        connection.execute("CREATE TABLE p (id INTEGER, name TEXT, mail TEXT, born DATE)")
        connection.execute("INSERT INTO p VALUES (1, 'Ada', 'ada@x.org', '1815-12-10')")
        connection.execute("INSERT INTO p VALUES (2, NULL, NULL, NULL)")
    return tmp_path


def configure(folder, export, text_format="parquet"):
    config = {
        "source": {"type": "sqlite", "path": "people.db"},
        "exports": [
            {
                "name": "p",
                "table": "p",
                "format": text_format,
                "destination": {"type": "local", "path": "out"},
                **export,
            }
        ],
    }
    path = folder / "rivet.yaml"
    with path.open("w") as file:
        YAML().dump(config, file)
    return path


def test_columns_are_chosen_renamed_and_masked(rivet, people):
    export = {
        "exclude": ["born"],
        "rename": {"id": "person", "mail": "mail_hash"},
        "mask": {"mail": "hash", "name": None},  # null, as YAML reads it
        "quality": {"unique_columns": ["person"], "null_ratio_max": {"mail_hash": 0.5}},
        "meta_columns": {"row_hash": ["person"]},
    }
    rivet("run", "-c", configure(people, export), "--validate").expect(0)
    (file,) = (people / "out").glob("*.parquet")
    table = pq.read_table(file)
    digest = hashlib.sha256(b"ada@x.org").hexdigest()
    assert table.select(["person", "name", "mail_hash"]).to_pylist() == [
        {"person": 1, "name": None, "mail_hash": digest},
        {"person": 2, "name": None, "mail_hash": None},
    ]
    metadata = table.schema.field("mail_hash").metadata
    assert metadata[b"rivet.mask"] == b"hash"
    assert metadata[b"rivet.source_name"] == b"mail"
    assert b"ada@" not in file.read_bytes()


def test_csv_has_the_new_names(rivet, people):
    export = {"include": ["mail", "id"], "rename": {"id": "nr"}, "mask": {"mail": "redact"}}
    rivet("run", "-c", configure(people, export, "csv")).expect(0)
    (file,) = (people / "out").glob("*.csv")
    assert file.read_text() == "nr,mail\n1,***\n2,\n"


@pytest.mark.parametrize(
    ("export", "words"),
    [
        ({"include": ["id"], "exclude": ["name"]}, ["include", "exclude", "line"]),
        ({"include": []}, ["include", "line"]),
        ({"rename": {"id": "x", "name": "x"}}, ["rename", "'x'", "line"]),
        ({"rename": {"id": "name"}}, ["after `rename`: 'name'"]),
        ({"rename": {"id": ""}}, ["rename", "line"]),
        ({"mask": {"name": "md5"}}, ["mask", "hash", "redact", "line"]),
        ({"mask": {"name": "hash"}, "columns": {"name": "json"}}, ["mask", "'name'", "line"]),
        ({"mask": {"nome": "hash"}}, ["'nome'", "its columns are", "'name'"]),
        ({"include": ["nome"]}, ["'nome'", "its columns are"]),
        ({"exclude": ["id", "name", "mail", "born"]}, ["leave no column"]),
        ({"exclude": ["name"], "mask": {"name": "hash"}}, ["not read: 'name'"]),
        ({"rename": {"id": "nr"}, "quality": {"unique_columns": ["id"]}}, ["'id'"]),
    ],
)
def test_what_makes_no_sense_is_refused(rivet, people, export, words):
    done = rivet("run", "-c", configure(people, export)).expect(1)
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, done.stderr
    assert "Hint: " in done.stderr or " must " in done.stderr
    for word in words:
        assert word in done.stderr
    assert not list(people.rglob("*.parquet"))


def test_a_policy_of_null_is_the_word_and_not_nothing(rivet, people):
    with closing(sqlite3.connect(people / "people.db")) as connection, connection:
        connection.execute("INSERT INTO p VALUES (3, 'x', 'y', 'no date')")
    done = rivet("run", "-c", configure(people, {})).expect(1)
    assert "column 'born', row 3" in done.stderr
    export = {"columns": {"born": {"type": "date", "invalid": None}}}
    rivet("run", "-c", configure(people, export)).expect(0)
    (file,) = (people / "out").glob("*.parquet")
    assert pq.read_table(file)["born"].null_count == 2
