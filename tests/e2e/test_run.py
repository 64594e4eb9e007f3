"""`rivet run` from the shell to the files, on SQLite and a local disk."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
import xxhash


def _manifest(prefix):
    return json.loads((prefix / "manifest.json").read_text())


def _parts(prefix):
    return sorted(path.name for path in prefix.iterdir() if path.name.startswith("orders_"))


def test_a_full_export_is_whole(rivet, shop):
    done = rivet("run", "-c", shop.config).expect(0)
    prefix = shop.out / "orders"
    manifest = _manifest(prefix)
    (name,) = _parts(prefix)
    assert manifest["row_count"] == 1000
    assert [part["path"] for part in manifest["parts"]] == [name]
    assert pq.read_metadata(prefix / name).num_rows == 1000
    body = (prefix / "manifest.json").read_bytes()
    assert (prefix / "_SUCCESS").read_text() == f"xxh3:{xxhash.xxh3_64_hexdigest(body)}\n"
    assert (prefix / f"manifest-{manifest['run_id']}.json").read_bytes() == body
    assert done.stdout == ""
    for word in ("run_id:", "status:", "success", "1,000", "tuning:", "duration:"):
        assert word in done.stderr


def test_duckdb_reads_what_the_source_holds(rivet, shop):
    rivet("run", "-c", shop.config).expect(0)
    listed = rivet("files", "-c", shop.config).expect(0).stdout.split()
    sums = "count(*), sum(amount), count(note), sum(CASE WHEN note = '' THEN 1 ELSE 0 END)"
    found = duckdb.sql(f"SELECT {sums} FROM read_parquet({listed})").fetchall()[0]
    source = sqlite3.connect(shop.database)
    cents = sums.replace("sum(amount)", "sum(CAST(round(amount * 100) AS INTEGER))")
    wanted = source.execute(f"SELECT {cents} FROM orders").fetchall()[0]
    source.close()
    assert (found[0], int(found[1] * 100), found[2], found[3]) == wanted


def test_a_second_run_leaves_the_first_files_and_lists_only_its_own(rivet, shop):
    rivet("run", "-c", shop.config).expect(0)
    first = rivet("files", "-c", shop.config).stdout
    shop.fill(5)
    rivet("run", "-c", shop.config).expect(0)
    second = rivet("files", "-c", shop.config, "--json").json
    prefix = shop.out / "orders"
    assert len(_parts(prefix)) == 2
    assert second[0]["rows"] == 1005
    assert second[0]["files"][0]["path"] != first.strip()
    assert _manifest(prefix)["row_count"] == 1005
    assert len(list(prefix.glob("manifest-*.json"))) == 2


def test_csv_keeps_null_and_empty_text_apart(rivet, shop):
    shop.configure({"format": "csv"})
    rivet("run", "-c", shop.config, "--validate").expect(0)
    (path,) = rivet("files", "-c", shop.config).stdout.split()
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "id,customer,amount,note,paid"
    assert lines[1] == '1,c1,1.01,"",true'
    assert lines[3] == "3,c3,3.03,,true"


def test_splitting_publishes_every_piece(rivet, shop):
    shop.fill(200_000)
    shop.configure(
        {
            "max_file_size": "200KB",
            "query": "SELECT id, hex(randomblob(16)) h FROM orders",
            "columns": {"h": "text"},
        }
    )
    rivet("run", "-c", shop.config, "--validate").expect(0)
    manifest = _manifest(shop.out / "orders")
    assert manifest["part_count"] > 5
    assert manifest["row_count"] == 201_000
    listed = rivet("files", "-c", shop.config).stdout.split()
    found = duckdb.sql(f"SELECT count(DISTINCT id) FROM read_parquet({listed})").fetchall()[0]
    assert found == (201_000,)


def test_no_rows_make_no_file_but_a_whole_manifest(rivet, shop):
    shop.configure({"name": "empty"})
    rivet("run", "-c", shop.config).expect(0)
    prefix = shop.out / "empty"
    assert _manifest(prefix)["part_count"] == 0
    assert (prefix / "_SUCCESS").exists()
    assert not list(prefix.glob("empty_*"))


def test_skip_empty_leaves_everything_as_it_was(rivet, shop):
    shop.configure({"name": "empty", "skip_empty": True})
    done = rivet("run", "-c", shop.config, "--json").expect(0)
    assert done.json["per_export"][0]["status"] == "skipped"
    assert not (shop.out / "empty" / "manifest.json").exists()


def test_several_exports_share_a_summary(rivet, shop):
    shop.configure({}, {"name": "empty"}, {"name": "nope"})
    done = rivet("run", "-c", shop.config, "--json").expect(1)
    statuses = {item["export_name"]: item["status"] for item in done.json["per_export"]}
    assert statuses == {"orders": "success", "empty": "success", "nope": "failed"}
    assert done.json["failed_count"] == 1
    assert "Run summary (3 exports)" in done.stderr
    assert "nope" in done.stderr.split("failed exports:")[1]


def test_json_is_the_only_thing_on_stdout_and_equals_the_summary_file(rivet, shop):
    done = rivet(
        "run", "-c", shop.config, "--json", "--summary-output", "deep/er/summary.json"
    ).expect(0)
    assert json.loads((shop.directory / "deep/er/summary.json").read_text()) == done.json
    assert done.json["parallel_mode"] == "sequential"


def test_rows_can_go_to_stdout(rivet, shop):
    shop.configure({"format": "csv", "destination": {"type": "stdout"}})
    done = rivet("run", "-c", shop.config).expect(0)
    assert done.stdout.count("\n") == 1001
    assert not shop.out.exists()


def test_meta_columns_come_last(rivet, shop):
    shop.configure({"meta_columns": {"exported_at": True, "row_hash": True}})
    rivet("run", "-c", shop.config).expect(0)
    (path,) = rivet("files", "-c", shop.config).stdout.split()
    table = pq.read_table(path)
    assert table.column_names[-2:] == ["_rivet_exported_at", "_rivet_row_hash"]
    assert len(set(table["_rivet_row_hash"].to_pylist())) == 1000


def test_schema_drift_warns_or_fails(rivet, shop):
    rivet("run", "-c", shop.config).expect(0)
    shop.execute("ALTER TABLE orders ADD COLUMN extra INTEGER")
    shop.configure({"on_schema_drift": "fail"})
    failed = rivet("run", "-c", shop.config).expect(4)
    assert "extra" in failed.stderr
    shop.configure({})
    warned = rivet("run", "-c", shop.config).expect(0)
    assert "added: extra" in warned.stderr
    again = rivet("run", "-c", shop.config).expect(0)
    assert "added: extra" not in again.stderr


def test_a_quality_failure_publishes_nothing(rivet, shop):
    rivet("run", "-c", shop.config).expect(0)
    prefix = shop.out / "orders"
    before = {path.name: path.read_bytes() for path in prefix.iterdir()}
    shop.configure({"quality": {"row_count_min": 2000}})
    failed = rivet("run", "-c", shop.config).expect(3)
    assert "RIVET_DATA_QUALITY" in failed.stderr
    assert {path.name: path.read_bytes() for path in prefix.iterdir()} == before


def test_report_files_stand_beside_the_configuration(rivet, shop):
    rivet("run", "-c", shop.config).expect(0)
    (folder,) = (shop.directory / ".rivet" / "runs").iterdir()
    body = json.loads((folder / "summary.json").read_text())
    assert body["status"] == "success"
    assert body["total_rows"] == 1000
    assert (folder / "summary.md").read_text().startswith("# orders: success")


def test_the_working_directory_does_not_matter(rivet, shop, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    rivet("run", "-c", os.path.relpath(shop.config, elsewhere), env={"PWD": str(elsewhere)})
    done = type(rivet)(elsewhere)("run", "-c", shop.config).expect(0)
    assert done.stdout == ""
    assert not (elsewhere / ".rivet").exists()
    assert (shop.out / "orders" / "_SUCCESS").exists()


@pytest.mark.parametrize("flag", [["--help"], ["run", "--help"], ["files", "--help"]])
def test_help_works(rivet, flag):
    assert "Usage: rivet" in rivet(*flag).expect(0).stdout


def test_version_names_the_kernel(rivet):
    assert "kernel: " in rivet("--version").expect(0).stdout
