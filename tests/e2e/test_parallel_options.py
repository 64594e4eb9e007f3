"""Options for running side by side, as the shell sees them: each mistake is one clear sentence."""

import json

import pytest

EXPORT = {"table": "t", "format": "csv", "destination": {"type": "local", "path": "out"}}
BOTH = ["--parallel-exports", "--parallel-export-processes"]


@pytest.fixture
def configured(rivet):
    exports = [EXPORT | {"name": name} for name in ("a", "b")]
    text = json.dumps({"source": {"type": "sqlite", "path": "shop.db"}, "exports": exports})
    (rivet.directory / "rivet.yaml").write_text(text)
    return rivet


@pytest.mark.parametrize(
    ("options", "code", "words", "hint"),
    [
        (["--parallel-exports", "4"], "CLI_VALUE_INVALID", "behind =", "--parallel-exports=4"),
        (["--parallel-export-processes=0"], "CLI_VALUE_INVALID", "'0' is not a number", "from 1"),
        (["--parallel-exports=many"], "CLI_VALUE_INVALID", "'many' is not a number", "from 1"),
        (BOTH, "CLI_VALUE_INVALID", "not in both", "one of --parallel-exports"),
        (["--progress=loud"], "USAGE", "'loud' is not one of", "--help"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_run(configured, options, code, words, hint):
    done = configured("run", "-c", "rivet.yaml", *options, "--json-errors").expect(1)
    error = json.loads(done.stderr)
    assert error["code"] == f"RIVET_{code}"
    assert words in error["error"]
    assert hint in error["hint"]
    assert not (configured.directory / "out").exists()
