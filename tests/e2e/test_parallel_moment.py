"""Every export of a run is of the day on which the run began, whenever its own turn comes."""

from __future__ import annotations

import os
from dataclasses import replace

from rivet.config.load import load_config
from rivet.execution.children.context import VARIABLE, ChildContext, offer, to_bytes

BEGAN = "2024-02-29T23:59:59.999999+00:00"


def _context(config):
    loaded = load_config(config)
    return ChildContext(
        run_id="orders_20240229T235959_aabbccdd",
        run_aggregate_id="agg_20240229T235959.999_aabbccdd",
        run_started_at=BEGAN,
        config_digest=loaded.digest,
        config=loaded.to_document(only=("orders",)),
        params={},
    )


def _run_child(rivet, shop, context):
    descriptor = offer(to_bytes(context))
    environment = {**rivet.environment, "RIVET_IPC_EVENTS": "1", VARIABLE: str(descriptor)}
    arguments = ("run", "--config", shop.config, "--export", "orders")
    with rivet.start(*arguments, env=environment, pass_fds=(descriptor,)) as process:
        os.close(descriptor)
        _, stderr = process.communicate(timeout=60)
    return process.returncode, stderr


def test_the_date_of_a_child_is_that_of_the_run(rivet, shop):
    dated = {"type": "local", "path": "out/{date}"}
    shop.configure({"destination": dated}, {"name": "empty", "destination": dated})
    code, stderr = _run_child(rivet, shop, _context(shop.config))
    assert code == 0, stderr
    assert [path.name for path in shop.out.iterdir()] == ["2024-02-29"]


def test_a_context_of_another_version_is_refused(rivet, shop):
    code, stderr = _run_child(rivet, shop, replace(_context(shop.config), version=99))
    assert code == 6
    assert "of another version of Rivet" in stderr
    assert not shop.out.exists()


def test_all_exports_of_a_run_share_its_date(rivet, shop):
    dated = {"type": "local", "path": "out/{date}/{export}"}
    names = ("a", "b", "c", "d")
    shop.configure(*({"name": name, "table": "orders", "destination": dated} for name in names))
    for flag in ("--parallel-export-processes", "--parallel-exports"):
        rivet("run", "-c", shop.config, flag).expect(0)
    found = {path.parent.name for path in shop.out.glob("*/*")}
    assert len(found) <= 2  # one for each of the two runs, and midnight may lie between them
    assert {path.name for path in shop.out.glob("*/*")} == {*names}
