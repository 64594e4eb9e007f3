"""What a person sees in a real terminal while exports run, compared with golden screens.

`RIVET_WRITE_GOLDENS=1` writes the goldens anew; look at the difference before keeping it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rivet.events import (
    ExportFinished,
    ExportLaunched,
    ExportStarted,
    Progress,
    Warned,
    to_line,
)
from support.emulator import CTRL_S, EmulatedTerminal

_GOLDENS = Path(__file__).parents[1] / "golden" / "screens"
_MARKS = tuple("▸✓✗⚠•…")
_DRIVER = """
import json, sys
from rivet.events import from_line
from rivet.ui.screen import screen
sys.stdin.reconfigure(encoding="utf-8")
names, style = json.loads(sys.stdin.readline())
with screen(sys.stderr, tuple(names), style=style, opening="two at once") as emit:
    for line in sys.stdin:
        emit(from_line(line))
        print("taken", flush=True)
"""


class Driver:
    """A program that shows the events it is told."""

    def __init__(self, process, terminal):
        self.process = process
        self.terminal = terminal

    def emit(self, *events):
        """Tell it events; return when it has taken them all."""
        for event in events:
            self.process.stdin.write(to_line(event) + "\n")
            self.process.stdin.flush()
            assert self.process.stdout.readline() == "taken\n"

    def end(self):
        """Let the run end, and the program with it."""
        self.process.stdin.close()
        assert self.process.wait(timeout=20) == 0
        self.terminal.drain()


@contextlib.contextmanager
def _driven(rivet, terminal, names, *, style="auto", **env):
    command = [sys.executable, "-c", _DRIVER]
    variables = {**rivet.environment, "TERM": "xterm-256color", "NO_COLOR": "", **env}
    with terminal.start(command, variables, rivet.directory) as process:
        process.stdin.write(json.dumps([names, style]) + "\n")
        process.stdin.flush()
        try:
            yield Driver(process, terminal)
        finally:
            process.kill()


def _masked(lines):
    """Mask what differs from run to run."""
    text = "\n".join(lines)
    text = re.sub(r"\b(\d+h )?(\d+m )?\d+(\.\d+)?(ms|s)\b", "<time>", text)
    text = re.sub(r"  [\d.]+[KM]? rows/s", "", text)
    text = re.sub(r"  +<time>", "  <time>", text)
    return text.replace("preparing…  <time>", "preparing…") + "\n"


def _assert_shows(terminal, name):
    golden = _GOLDENS / f"{name}.txt"
    if os.environ.get("RIVET_WRITE_GOLDENS"):
        time.sleep(0.6)
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(_masked(terminal.display), encoding="utf-8")
    wanted = golden.read_text(encoding="utf-8")
    assert _masked(terminal.wait_for(lambda shown: _masked(shown) == wanted)) == wanted


def _launched(name):
    return ExportLaunched(name, "run", 7)


def _started(name, mode="full", rows=None):
    return ExportStarted(name, "run", mode, "balanced (default)", 10_000, rows)


def _finished(name, status="success", error=None, **more):
    return ExportFinished(
        name, "run", status, 1_000_908, 11, 33_973_862, 104_400, 50, error, **more
    )


def _cards(lines):
    return [line for line in lines if line.startswith(_MARKS)]


def test_cards_follow_the_run_and_the_size_of_the_terminal(rivet):
    names = ("public.orders", "客户名单", "items", "broken", "killed", "later")
    with EmulatedTerminal(80, 24) as terminal, _driven(rivet, terminal, names) as driver:
        _assert_shows(terminal, "80x24-waiting")
        driver.emit(*(_launched(name) for name in names[:5]))
        driver.emit(_started("public.orders", "chunked"))
        driver.emit(Progress("public.orders", 3, 1_234_567))
        driver.emit(Warned("客户名单", "rule", "the text is long: \x1b[2J\x07 " + "wörter " * 20))
        driver.emit(_finished("broken", "failed", "no such \x1b[31mtable\n\x9b2J\u2028" * 9))
        driver.emit(_finished("客户名单"))
        _assert_shows(terminal, "80x24-running")
        terminal.resize(200, 50)
        _assert_shows(terminal, "200x50-running")
        error = "its process was killed by SIGKILL"
        driver.emit(_finished("killed", "failed", error, is_synthetic=True), _launched("later"))
        terminal.resize(40, 10)
        _assert_shows(terminal, "40x10-running")
        terminal.resize(20, 30)
        _assert_shows(terminal, "20x30-running")
        terminal.resize(80, 24)
        _assert_shows(terminal, "80x24-again")
        driver.emit(*(_finished(name) for name in ("public.orders", "items", "later")))
        driver.end()
        _assert_shows(terminal, "80x24-over")


def test_more_exports_than_rows(rivet):
    names = tuple(f"export_{number:02}" for number in range(40))
    with EmulatedTerminal(80, 24) as terminal, _driven(rivet, terminal, names) as driver:
        driver.emit(*(_finished(name) for name in names[:12]))
        driver.emit(_finished(names[12], "failed", "no such table"))
        driver.emit(*(_launched(name) for name in names[13:17]))
        _assert_shows(terminal, "80x24-forty")
        terminal.resize(80, 4)
        _assert_shows(terminal, "80x4-forty")
        terminal.resize(80, 24)
        driver.emit(Warned(names[20], "rule", "watch out"))
        driver.emit(*(_finished(name) for name in names[13:]))
        driver.end()
        every = [*terminal.scrollback, *terminal.display]
    # At the end each card stands there once, in order, whatever the height, below the remarks.
    assert [line.split()[1] for line in _cards(every)] == list(names)
    assert every.index("export_20: warning: watch out") == every.index(_cards(every)[0]) - 1


def test_no_frame_is_torn(rivet):
    names = ("a", "b", "c", "d", "e")
    with EmulatedTerminal(60, 8) as terminal, _driven(rivet, terminal, names) as driver:
        driver.emit(*(_started(name, rows=10_000) for name in names))
        for step in range(150):
            driver.emit(*(Progress(name, 0, step * 70) for name in names))
            time.sleep(0.005)
            if step % 10 == 0:
                driver.emit(Warned("a", "rule", f"number {step} " + "x" * (step % 70)))
        driver.emit(*(_finished(name) for name in names))
        driver.end()
        frames = terminal.frames
        every = [*terminal.scrollback, *terminal.display]
    assert len(frames) > 5
    for shown in frames[1:]:
        assert [line[2] for line in shown[-5:]] == list(names)
        assert len(_cards(shown)) == 5
    said = [line for line in every if line.startswith("a: warning: number ")]
    assert [int(line.split()[3]) for line in said] == list(range(0, 150, 10))


def test_the_terminal_is_left_as_it_was(rivet):
    with EmulatedTerminal() as terminal, _driven(rivet, terminal, ("a",)) as driver:
        driver.emit(_launched("a"))
        terminal.wait_for(lambda shown: "preparing" in "".join(shown))
        terminal.type(b"\x03")  # nobody's controlling terminal
        terminal.wait_for_bytes(b"^C")  # its echo, which the kernel writes in its own time
        driver.emit(_finished("a", "interrupted"))
        driver.end()
        _assert_shows(terminal, "80x24-interrupted")
        modes = set(re.findall(rb"\x1b\[\?([0-9;]+)[a-z]", terminal.bytes))
    assert modes == {b"2026"}
    assert b"\x1b[33m" in terminal.bytes


def test_no_color_is_no_colour(rivet):
    with EmulatedTerminal() as terminal:
        with _driven(rivet, terminal, ("a", "b"), NO_COLOR="1") as driver:
            driver.emit(_started("a"), _finished("b", "failed", "x"))
            driver.end()
        assert terminal.wait_for(lambda shown: len(_cards(shown)) == 2)
    assert re.findall(rb"\x1b\[[0-9;]*m", terminal.bytes) == []


@pytest.mark.parametrize(
    ("style", "env"),
    [("auto", {"TERM": "dumb"}), ("cards", {"TERM": "dumb"}), ("auto", {"CI": "1"}), ("plain", {})],
)
def test_plain_lines_on_a_terminal(rivet, style, env):
    with EmulatedTerminal(120, 24) as terminal:
        with _driven(rivet, terminal, ("orders", "b"), style=style, **env) as driver:
            driver.emit(_launched("b"), _started("b"), Progress("b", 1, 70))
            driver.emit(_finished("b"), _finished("orders", "failed", "no \x1b[2Jtable"))
            driver.end()
        _assert_shows(terminal, "120x24-plain")
    assert b"\x1b" not in terminal.bytes


def test_cards_in_spite_of_ci_where_they_are_asked_for(rivet):
    with (
        EmulatedTerminal() as terminal,
        _driven(rivet, terminal, ("a",), style="cards", CI="1") as driver,
    ):
        driver.emit(_finished("a"))
        driver.end()
    assert b"\x1b[?2026h" in terminal.bytes


def test_ascii_where_the_encoding_has_no_more(rivet):
    with EmulatedTerminal() as terminal:
        with _driven(rivet, terminal, ("a", "客户"), PYTHONIOENCODING="latin-1") as driver:
            driver.emit(_launched("a"), _finished("客户"))
            driver.end()
        assert [line[:2] for line in terminal.display] == ["! ", "+ "]
    assert "\\u5ba2" in terminal.display[1]


@pytest.mark.parametrize("how", ["stopped", "unread", "gone"])
def test_a_terminal_that_takes_nothing_holds_nobody_up(rivet, how):
    names = tuple(f"export_{number:02}" for number in range(20))
    with EmulatedTerminal() as terminal, _driven(rivet, terminal, names) as driver:
        driver.emit(_launched(names[0]))
        terminal.wait_for(lambda shown: "preparing" in "".join(shown))
        if how == "stopped":
            terminal.type(CTRL_S)
        elif how == "unread":
            terminal.stop_reading()
        else:
            terminal.hang_up()
        began_s = time.monotonic()
        for number in range(300):
            driver.emit(Warned(names[0], "rule", f"{number} " + "long " * 300))
        assert time.monotonic() - began_s < 5
        driver.end()
        assert time.monotonic() - began_s < 10


def _piped(rivet, style, names, events):
    told = "".join(f"{line}\n" for line in (json.dumps([names, style]), *map(to_line, events)))
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER],
        input=told,
        env={**rivet.environment, "TERM": "xterm"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
        timeout=60,
    )
    return done.stderr


@pytest.mark.parametrize("style", ["auto", "cards", "plain"])
def test_without_a_terminal_each_card_is_written_once(rivet, style):
    events = [_launched("a"), _started("a"), Progress("a", 0, 7), Warned("a", "rule", "watch\nout")]
    events += [_finished("b", "failed", "no \x1b[2Jtable"), _finished("a"), _finished("a")]
    assert _piped(rivet, style, ("a", "b"), events).splitlines() == [
        "two at once",
        "a: warning: watch out",
        "✗ b             -            failed",
        "✓ a             full           1,000,908 rows   11 files    32.4 MB  1m 44.4s",
    ]


def test_json_is_every_event_on_a_line_of_its_own(rivet):
    events = [
        _launched("é漢"),
        Warned("é漢", "rule", "a\u2028b\npassword=geheim"),
        _finished("é漢"),
    ]
    stderr = _piped(rivet, "json", ("é漢",), events)
    assert stderr.isascii()
    told = [json.loads(line) for line in stderr.splitlines()]
    assert [each["type"] for each in told] == ["launched", "warning", "finished"]
    assert told[1]["message"] == "a\u2028b\npassword=***"
    assert _piped(rivet, "none", ("é漢",), events) == ""


def test_a_real_run(rivet, shop):
    shop.configure({}, {"name": "empty"}, {"name": "missing", "query": "SELECT * FROM nowhere"})
    env = {**rivet.environment, "TERM": "xterm-256color"}
    command = [*rivet.command, "run", "-c", str(shop.config)]
    with EmulatedTerminal(90, 40) as terminal:
        with terminal.start(command, env, rivet.directory) as process:
            process.stdin.close()
            assert process.wait(timeout=60) == 1
        shown = terminal.wait_for(lambda shown: "failed exports:" in "".join(shown))
    rule = next(index for index, line in enumerate(shown) if line.startswith("══"))
    lines = re.sub(r"\d+(\.\d+)? (MB|KB|B)", "<size>", _masked(shown[:rule]))
    wanted = (_GOLDENS / "90x40-real.txt").read_text(encoding="utf-8")
    assert re.sub(" +", " ", lines) == re.sub(" +", " ", wanted)
    assert shown[rule + 1] == "  Run summary (3 exports)"
    assert "  committed: orders 1,000 rows in 1 file" in shown
