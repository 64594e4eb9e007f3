"""Whatever becomes of the bytes or rows of a state, an export goes on rightly or stops with 5."""

import os
import random
import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import pytest

from support.forgetful import Export, verdict

VARIANTS = 500
VALUES = [None, 0, -1, 2**62, 1.5, "", "x", "[]", "{}", "[[1]]", '{"owner":7}', b"\xff", "\ud7ff"]


class Bench:
    """One export whose state and files come back for every variant."""

    def __init__(self, folder):
        self.export = Export(folder)
        self.out = folder / "out"
        self.whole = body = self.export.state.read_bytes()
        self.spots = [n for n in range(len(body)) if 32 < body[n] < 127 and 32 < body[n - 1] < 127]
        self.files = {path: path.read_bytes() for path in self.out.iterdir()}
        with closing(sqlite3.connect(self.export.state)) as connection:
            self.columns = [
                (table, column[1])
                for (table,) in connection.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table'"
                ).fetchall()
                for column in connection.execute(f"PRAGMA table_info({table})").fetchall()
                if connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            ]

    def restore(self):
        for path in self.out.iterdir():
            if path not in self.files:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path, body in self.files.items():
            path.write_bytes(body)
        for ending in ("-wal", "-shm"):
            self.export.state.with_name(f"state.db{ending}").unlink(missing_ok=True)
        self.export.state.write_bytes(self.whole)

    def change(self, sql, *values):
        with closing(sqlite3.connect(self.export.state)) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            with suppress(sqlite3.Error), connection:
                connection.execute(sql, values)


def flip(bench, rng):
    body = bytearray(bench.whole)
    for _ in range(rng.choice([1, 1, 2, 8, 64])):
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    bench.export.state.write_bytes(body)


def flip_in_rows(bench, rng):
    """Flip bits of the texts of rows, where nothing of the database itself is hurt."""
    body = bytearray(bench.whole)
    for _ in range(rng.choice([1, 2])):
        body[rng.choice(bench.spots)] ^= 1 << rng.randrange(4)
    bench.export.state.write_bytes(body)


def truncate(bench, rng):
    bench.export.state.write_bytes(bench.whole[: rng.randrange(len(bench.whole))])


def zero(bench, rng):
    body = bytearray(bench.whole)
    size = rng.choice([16, 512, 4096, 4096])
    start = rng.randrange(0, len(body), size)
    body[start : start + size] = bytes(len(body[start : start + size]))
    bench.export.state.write_bytes(body)


def wrong_value(bench, rng):
    table, column = rng.choice(bench.columns)
    bench.change(f"UPDATE {table} SET {column} = ?", rng.choice(VALUES))


def swap(bench, rng):
    texts = [pair for pair in bench.columns if pair[1].endswith("_json")]
    (one, into), (other, source) = rng.choice(texts), rng.choice(texts)
    bench.change(f"UPDATE {one} SET {into} = (SELECT {source} FROM {other} LIMIT 1)")


def lose(bench, rng):
    tables = sorted({table for table, _ in bench.columns})
    table = rng.choice(tables)
    what = [f"DROP TABLE {table}", f"DELETE FROM {table}", f"ALTER TABLE {table} RENAME TO other"]
    bench.change(rng.choice(what))


def version(bench, rng):
    number = rng.choice(["0001", "0003", "0004", "9999", "", "x", "0007"])
    bench.change("UPDATE alembic_version SET version_num = ?", number)


WAYS = [flip, flip, flip_in_rows, flip_in_rows, truncate, zero, wrong_value, wrong_value, swap]
WAYS += [lose, version]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    # In memory where that can be had: 500 runs wait for the disk for minutes otherwise.
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield Bench(tmp_path_factory.mktemp("fuzz"))
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="rivet-fuzz-") as folder:
        yield Bench(Path(folder))


def test_no_variant_begins_anew_or_skips_a_row(bench):
    ends, wrong = Counter(), []
    for seed in range(VARIANTS):
        rng = random.Random(seed)
        way = WAYS[seed % len(WAYS)]
        bench.restore()
        way(bench, rng)
        try:
            code, exit_code, hint = verdict(bench.export, bench.export.config)
        except Exception as error:  # noqa: BLE001 - whatever is not told is a failure
            code, exit_code, hint = f"RAISED {error!r}", 6, None
        rows = bench.export.rows()
        is_right = rows == ([1, 2] if code else [1, 2, 3])
        is_told = not code or (code.startswith("RIVET_STATE") and hint and exit_code in {1, 2, 5})
        if not (is_right and is_told):
            wrong.append((seed, way.__name__, code, exit_code, rows))
        ends[code or "went on"] += 1
    assert not wrong
    assert len(ends) > 4, ends
