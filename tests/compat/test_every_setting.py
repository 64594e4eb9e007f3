"""One configuration for each key of the reference's `schema config`, run by both programs.

Rows and Arrow types are equal, and so are exit codes, but for the table that stands in
`docs/reference/compatibility.md`. This test writes it: `RIVET_WRITE_DOCS=1 pytest` on this file.
"""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from rivet.config.load import load_config
from rivet.errors import RivetError
from rivet.execution.many.invocation import run_exports
from support.comparison import OWN_VALUES, arrow_fields, canonical_counts, part_paths
from support.settings import DIFFERENT, ELSEWHERE, SETTINGS, TABLE, UNTOLD, configuration
from support.tree import ROOT

pytestmark = pytest.mark.live("postgresql")

PAGE: Final = ROOT / "docs" / "reference" / "compatibility.md"
BEGIN: Final = "<!-- written by tests/compat/test_every_setting.py -->\n"
END: Final = "<!-- as far as here -->\n"


@pytest.fixture
def bench(any_postgres, tmp_path):
    """Both programs' folders for each case, and the environment."""
    any_postgres.execute(TABLE)
    for number, key in enumerate(SETTINGS):
        for program in ("theirs", "ours"):
            folder = tmp_path / str(number) / program
            folder.mkdir(parents=True)
            (folder / "rivet.yaml").write_text(json.dumps(configuration(key)))
            (folder / "events.sql").write_text("SELECT * FROM events WHERE id < 20")
            (folder / "url.txt").write_text(any_postgres.url)
    variables = {"DATABASE_URL": any_postgres.url, "HOME": str(tmp_path)}
    return tmp_path, {**variables, "PATH": os.environ["PATH"]}


def ours(folder: Path, env: dict[str, str], capfd: Any) -> tuple[int, str, tuple[str, ...]]:
    """Run this program; return exit code, what was printed, and its warnings."""
    capfd.readouterr()
    try:
        config = load_config(folder / "rivet.yaml", env=env)
        report = run_exports(config, env=env).report
    except RivetError as error:
        return error.exit_status, "", ()
    told = (*config.warnings, *(text for one in report.exports for text in one.warnings))
    failed = [one.failure.exit_code for one in report.exports if one.failure]
    return max(failed, default=0), capfd.readouterr().out, told


def prefix(folder: Path) -> Path:
    """Return where the manifest of a run is."""
    (found,) = folder.glob("out/**/manifest.json")
    return found.parent


def lines(folder: Path) -> list[str]:
    """Return the lines of all CSV parts."""
    paths = map(Path, part_paths(prefix(folder)))
    return sorted(line for path in paths for line in path.read_text().splitlines())


def compare(key: str, folder: Path, printed: tuple[str, str]) -> None:
    """Compare what both have written."""
    theirs, here = folder / "theirs", folder / "ours"
    if printed[0] or printed[1]:
        assert sorted(printed[0].splitlines()) == sorted(printed[1].splitlines()), key
    elif configuration(key)["exports"][0]["format"] == "csv":
        assert lines(theirs) == lines(here), key
    else:
        left, right = prefix(theirs), prefix(here)
        assert arrow_fields(left) == arrow_fields(right), key
        own = OWN_VALUES & {name for name, _, _ in arrow_fields(left)}
        assert canonical_counts(left, own) == canonical_counts(right, own), key


def test_every_key_does_as_in_the_reference_or_is_listed(bench, reference_program, capfd):
    home, env = bench

    def run(number: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(reference_program), "run", "-c", "rivet.yaml"],
            cwd=home / str(number) / "theirs",
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    rows, unlike = [], {}
    with ThreadPoolExecutor(2) as pool:
        expected = list(pool.map(run, range(len(SETTINGS))))
    for number, (key, done) in enumerate(zip(SETTINGS, expected, strict=True)):
        code, printed, told = ours(home / str(number) / "ours", env, capfd)
        if (done.returncode, code) == (0, 0):
            compare(key, home / str(number), (done.stdout, printed))
        elif done.returncode != code:
            unlike[key] = (done.returncode, code)
        name = key.split(" ")[0].rpartition(".")[2].rstrip(":")
        is_told = any(f"{name}`" in text or f"`{name}" in text for text in told)
        if key in DIFFERENT or is_told:
            why = DIFFERENT.get(key, "the rows are right without it")
            here = "a warning by name" if is_told and not code else _ended(code)
            rows.append(f"| `{key}` | {_ended(done.returncode)} | {here} | {why} |")
        if key in UNTOLD:
            assert is_told, f"{key} is taken without a word"
    assert unlike == {key: unlike.get(key) for key in DIFFERENT}
    table = "\n".join(["| Key | Reference | Here | Why |", "|---|---|---|---|", *rows]) + "\n"
    intro = (
        f"{len(SETTINGS)} configurations, at least one for each key of its `schema config`; rows"
        " and Arrow types\nare equal wherever both take it, exit codes but for these lines:\n\n"
    )
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    written = before + BEGIN + "\n" + intro + table + "\n" + END + rest.partition(END)[2]
    if os.environ.get("RIVET_WRITE_DOCS"):
        PAGE.write_text(written, encoding="utf-8")
    assert page == written, "the table has changed: RIVET_WRITE_DOCS=1 writes it"


def _ended(code: int) -> str:
    return "taken" if code == 0 else f"refused, exit {code}"


def test_no_key_of_its_schema_is_left_out(reference_program):
    printed = subprocess.run(
        [str(reference_program), "schema", "config"], capture_output=True, text=True, check=True
    )
    schema = json.loads(printed.stdout)
    prefixes = {
        "SourceConfig": "source.",
        "TuningConfig": "tuning.",
        "TlsConfig": "source.tls.",
        "ExportConfig": "",
        "ParquetConfig": "parquet.",
        "MetaColumns": "meta_columns.",
        "QualityConfig": "quality.",
    }
    known = {
        f"{start}{key}"
        for name, start in prefixes.items()
        for key in schema["$defs"][name]["properties"]
    } | set(schema["properties"])
    tried = {key.split(" ")[0].rstrip(":") for key in SETTINGS}
    tried |= {key.partition(".")[0] for key in tried}
    tried |= {".".join(key.split(".")[:2]) for key in tried}
    of_lists = {"source", "exports", "source.tuning"}
    assert known - tried - set(ELSEWHERE) - of_lists == set()
