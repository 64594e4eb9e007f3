"""A forked child reads PostgreSQL like any other, with what its server has imported."""

import json
import subprocess
import sys

import pytest

from rivet.execution.children import forked
from rivet.execution.children.launch import Ending
from support.children import Nursery

pytestmark = pytest.mark.skipif(not forked.is_available(), reason="no pidfds here")

_RUN = """
import os, sys
from rivet.cli import preloaded
from rivet.execution.children.forked import modules_for
preloaded.preload(modules_for(["postgresql"]))
preloaded.warm_up()
import rivet
from rivet.execution.children.context import ChildContext, offer, to_bytes
config = rivet.load_config(sys.argv[1])
told = config.to_document(only=("orders",))
context = ChildContext("orders_1", "agg", "2024-02-29T00:00:00+00:00", config.digest, told, {})
os.environ["RIVET_CONTEXT_FD"] = str(offer(to_bytes(context)))
before = set(sys.modules)
def leave(code):
    print(code, *sorted(set(sys.modules) - before), file=sys.stderr, flush=True)
    os.kill(os.getpid(), 9)
os._exit = leave
sys.argv = ["rivet", "run", "--config", sys.argv[1], "--export", "orders"]
preloaded.run_command()
"""


@pytest.fixture
def config(any_postgres, tmp_path):
    any_postgres.execute("CREATE TABLE orders AS SELECT 1 AS id, 'x'::text AS name")
    body = {
        "source": {
            "type": "postgresql",
            "url": any_postgres.url,
            "tls": {"mode": "disable"},
        },
        "exports": [
            {
                "name": "orders",
                "table": "public.orders",
                "format": "parquet",
                "destination": {"type": "local", "path": "out"},
            }
        ],
    }
    path = tmp_path / "rivet.yaml"
    path.write_text(json.dumps(body))
    return path


def test_a_forked_child_reads_it(rivet, config):
    launcher = forked.ForkLauncher.start(("postgresql",))
    nursery = Nursery(launcher, rivet.directory, rivet.environment)
    events = {"RIVET_IPC_EVENTS": "1"}
    child = nursery.start("run", "-c", config, environment=events)
    assert nursery.wait(child) == Ending(code=0), nursery.text(child, "err")
    launcher.close()


def test_a_run_imports_nothing_more(rivet, config):
    done = subprocess.run(
        [sys.executable, "-c", _RUN, config],
        env={**rivet.environment, "RIVET_IPC_EVENTS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    code, *imported = done.stderr.split()
    assert code == "0", done.stderr
    assert imported == []
