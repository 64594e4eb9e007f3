"""What `rivet run` says of several exports at once: cards, children's words, events, a summary."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from support.cli import Rivet
from support.scripted import scripted

PROCESSES = "--parallel-export-processes"
THREADS = "--parallel-exports"


def test_few_words_of_children_are_shown_in_place(rivet, shop):
    variables = scripted(shop, {"a": "noisy:3", "b": "good", "c": "crash_early"})
    done = rivet("run", "-c", shop.config, PROCESSES, env=variables).expect(1)
    heading, told = done.stderr.split("  child stderr (captured", 1)
    assert "noise" not in heading
    assert "  ── a ──\n    | noise 1\n    | noise 2\n    | noise 3\n" in told
    assert "  ── b ──" not in told
    assert "    | RuntimeError: no such thing\n" in told
    assert not [*shop.directory.glob("*.log")]


def test_many_words_of_children_go_into_a_file_beside_the_configuration(shop, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    variables = scripted(shop, {"a": "noisy:6000", "b": "noisy:5000", "c": "good"})
    done = Rivet(elsewhere)("run", "-c", shop.config, PROCESSES, env=variables).expect(0)
    (log,) = tmp_path.rglob("*.log")
    assert log.parent == shop.directory
    assert re.fullmatch(r"rivet-child-stderr-\d{8}T\d{6}\.log", log.name)
    assert f"  child stderr (full per-export logs) → {log}\n" in done.stderr
    assert "noise" not in done.stderr
    text = log.read_text()
    assert text.count("    | noise ") == 5000 * 2
    cap = "    | noise 4980\n    | … (truncated, 1000 more line(s) dropped)\n    | noise 5981\n"
    assert cap in text
    assert text.count("truncated") == 1


def test_a_prepared_link_is_not_written_through(rivet, shop):
    now = datetime.now(UTC)
    for second in range(60):
        name = f"rivet-child-stderr-{now + timedelta(seconds=second):%Y%m%dT%H%M%S}.log"
        (shop.directory / name).symlink_to("nowhere")
    variables = scripted(shop, {"a": "noisy:30", "b": "good", "c": "good"})
    done = rivet("run", "-c", shop.config, PROCESSES, env=variables).expect(0)
    assert "cannot be written: File exists" in done.stderr
    assert not (shop.directory / "nowhere").exists()


def _events(text):
    """Read lines that are all events."""
    return [json.loads(line) for line in text.splitlines()]


def test_events_by_hand_have_standard_output_to_themselves(rivet, shop):
    noise = shop.directory / "noise"
    noise.mkdir()
    (noise / "sitecustomize.py").write_text(
        "import os, sys\n"
        "def listen(event, _arguments):\n"
        "    if event == 'sqlite3.connect':\n"
        "        print('plain words', flush=True)\n"
        "        os.write(1, b'raw words\\n')\n"
        "sys.addaudithook(listen)\n"
    )
    shop.configure({}, {"name": "empty"})
    variables = {"RIVET_IPC_EVENTS": "1", "PYTHONPATH": str(noise)}
    done = rivet("run", "-c", shop.config, env=variables).expect(0)
    events = _events(done.stdout)
    finished = [event for event in events if event["type"] == "finished"]
    assert [(event["export_name"], event["total_rows"]) for event in finished] == [
        ("orders", 1000),
        ("empty", 0),
    ]
    assert "plain words\n" in done.stderr
    assert "raw words\n" in done.stderr


@pytest.mark.parametrize("flag", ["--progress=auto", THREADS, PROCESSES])
def test_without_a_terminal_each_card_is_printed_once(rivet, shop, flag):
    names = ("alpha", "beta", "gamma")
    shop.configure(
        *({"name": name, "table": "missing" if name == "beta" else "orders"} for name in names)
    )
    variables = {"NO_COLOR": "", "FORCE_COLOR": "1", "CLICOLOR_FORCE": "1", "TERM": "xterm"}
    done = rivet("run", "-c", shop.config, flag, env=variables).expect(1)
    for name, mark in zip(names, "✓✗✓", strict=True):
        cards = re.findall(rf"^\s*([^\s-]) {name}\b", done.stderr, re.MULTILINE)
        assert cards == [mark], done.stderr
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", done.stderr)


@pytest.mark.parametrize("flag", ["--progress=auto", THREADS, PROCESSES])
def test_what_failures_have_in_common_is_told_once(rivet, shop, flag):
    shop.configure({}, *({"name": f"e{number}", "table": "missing"} for number in range(4)))
    done = rivet("run", "-c", shop.config, flag).expect(1)
    assert done.stderr.count("'missing'") == 1
    told = "[RIVET_SOURCE_TABLE_NOT_FOUND] no table or view 'missing' in the database"
    assert f"    - 4 exports: {told}\n      e0, e1, e2, e3\n" in done.stderr
    code = "RIVET_CHILD_FAILED" if flag == PROCESSES else "RIVET_EXPORTS_FAILED"
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert line == f"Error: [{code}] 4 of 5 exports failed: 'e0', 'e1', 'e2', 'e3'"
    assert ("CHILD_FAILED" in done.stderr) == (flag == PROCESSES)


def test_progress_can_be_lines_or_events_or_nothing(rivet, shop):
    shop.configure(*({"name": name, "table": "orders"} for name in ("a", "b")))
    told = {}
    for style in ("none", "plain", "json"):
        done = rivet("run", "-c", shop.config, PROCESSES, f"--progress={style}").expect(0)
        assert done.stdout == ""
        told[style] = done.stderr
    assert "Run summary (2 exports)" in told["none"]
    assert "✓" not in told["none"]
    assert "starting" not in told["none"]
    assert "  … starting 2 export processes, 2 at once;" in told["plain"]
    assert told["plain"].count("✓") == 2
    events = _events(told["json"])
    for kind in ("launched", "started", "finished"):
        assert sorted(one["export_name"] for one in events if one["type"] == kind) == ["a", "b"]
