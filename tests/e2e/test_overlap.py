"""Two runs of one export: the second is refused, or waits as long as it was told to."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from rivet.errors import ConfigError
from rivet.execution.run.overlap import lock_wait_s
from rivet.state.locks import export_lock
from rivet.state.store import open_store


@pytest.fixture
def held(shop):
    """Hold the export `orders` from this process until the event is set."""
    is_held, gone = threading.Event(), threading.Event()

    def hold():
        with open_store(shop.directory) as state, export_lock(state, "orders"):
            is_held.set()
            gone.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_held.wait(10)
    yield gone
    gone.set()
    thread.join()


SIDE_BY_SIDE = [(), ("--parallel-exports",), ("--parallel-export-processes",)]


@pytest.fixture
def two(shop):
    shop.configure({"name": "orders"}, {"name": "again", "table": "orders"})


@pytest.mark.parametrize("flags", SIDE_BY_SIDE)
@pytest.mark.usefixtures("two")
def test_the_wait_ends(rivet, shop, held, flags):
    refused = rivet("run", "-c", shop.config, *flags).expect(5)
    assert "RIVET_REFUSED_OVERLAP" in refused.stderr
    over = rivet("run", "-c", shop.config, "--lock-wait", "0.5", *flags).expect(2)
    assert "RIVET_STATE_LOCK_TIMEOUT" in over.stderr
    with rivet.start("run", "-c", shop.config, "--lock-wait", "60", *flags) as process:
        held.set()
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr


def test_the_variable_says_the_same_and_the_option_wins(rivet, shop, held):
    waits = {"RIVET_LOCK_WAIT": "0.2"}
    assert "LOCK_TIMEOUT" in rivet("run", "-c", shop.config, env=waits).expect(2).stderr
    done = rivet("run", "-c", shop.config, "--lock-wait", "0", env=waits).expect(5)
    assert "RIVET_REFUSED_OVERLAP" in done.stderr
    assert "Hint: wait for that run to end: `--lock-wait SECONDS`" in done.stderr
    shop.configure({"name": "orders", "on_overlap": "wait"})
    assert "LOCK_TIMEOUT" in rivet("run", "-c", shop.config, env=waits).expect(2).stderr


@pytest.mark.usefixtures("two", "held")
@pytest.mark.parametrize("flags", SIDE_BY_SIDE)
def test_ctrl_c_ends_the_wait(rivet, shop, flags):
    with rivet.start("run", "-c", shop.config, "--lock-wait", "60", *flags) as process:
        deadline = time.monotonic() + 30
        while not list(shop.directory.rglob("out/again/_SUCCESS")) and flags:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.3 if flags else 2)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("text", ["-1", "soon", "nan", "inf", " "])
def test_what_is_no_time(text):
    with pytest.raises(ConfigError, match="RIVET_LOCK_WAIT"):
        lock_wait_s({"RIVET_LOCK_WAIT": text})


@pytest.mark.parametrize(("text", "seconds"), [("", None), ("0", 0.0), ("1.5", 1.5)])
def test_what_is_a_time(text, seconds):
    assert lock_wait_s({"RIVET_LOCK_WAIT": text}) == seconds
    assert lock_wait_s({}) is None


def test_strict_is_said_once_for_all_exports(rivet, shop):
    shop.configure(
        {"name": "orders", "mode": "incremental", "cursor_column": "place"},
        {"name": "all", "table": "orders"},
    )
    shop.execute("ALTER TABLE orders ADD COLUMN place INT; UPDATE orders SET place = id")
    rivet("run", "-c", shop.config, "--strict").expect(0)
    shop.execute("INSERT INTO orders (customer) VALUES ('in no window')")
    done = rivet("run", "-c", shop.config, "-e", "orders", "--strict").expect(5)
    assert "allows no such run" in done.stderr
    rivet("run", "-c", shop.config, "-e", "orders").expect(0)


@pytest.mark.parametrize(
    ("given", "named"), [("day", "has no = after 'day'"), ("sw0rd-fish", "has no =")]
)
def test_a_parameter_without_its_value_is_named(rivet, shop, given, named):
    done = rivet("run", "-c", shop.config, "-p", given).expect(1)
    assert named in done.stderr
    assert "sw0rd" not in done.stderr
