"""Both forms of the kernel can be chosen, and live in one process."""

import os
import subprocess
import sys

import pytest

from rivet.errors import InternalError
from rivet.wire.kernel import kernel_kind, load

ASK = (
    "from rivet.wire.kernel import kernel_kind; from rivet.wire import pgcopy, pump;"
    "print(kernel_kind(), pgcopy.is_compiled, pump.is_compiled)"
)


def test_the_variable_forces_the_sources():
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**os.environ, "RIVET_KERNEL": "interpreted"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["interpreted", "False", "False"]


def test_the_kind_in_use_is_told_without_loading_it():
    ask = "import sys; from rivet.wire.kernel import kernel_kind; kernel_kind();"
    ask += "print('pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_load_gives_the_form_asked_for():
    assert load("interpreted").is_compiled is False
    assert load().is_compiled is (kernel_kind() == "compiled")
    if kernel_kind() == "compiled":
        assert load("compiled").is_compiled is True


def test_the_interpreted_pump_refuses_to_call_an_address():
    import importlib

    load("interpreted")
    pump = importlib.import_module("rivet.wire.interpreted.pump")
    with pytest.raises(InternalError):
        pump.Pump(
            None, connection=0, descriptor=0, functions=(0, 0, 0), patience_ms=1, turn_bytes=1
        )
