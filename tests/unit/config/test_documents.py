"""A configuration on its way to a child process: nothing lost, nothing shown, and quick."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rivet.config.load import (
    config_from_dict,
    config_from_document,
    config_from_text,
    file_digest,
    load_config,
)
from rivet.config.models import Config
from rivet.config.resolve import resolve_source
from rivet.errors import ConfigError, ConfigSyntaxError
from unit.config.test_accepted import EVERYTHING
from unit.config.test_surface import NOT_YET, TABLE

PASSWORD = '0päß"\\ {x}: #word'
SECRETS = """
source: {type: postgresql, host: h, user: u, password: '${PW}', database: "${db}"}
parallel_export_processes: 3
max_connections: 8
max_memory_mb: 2048
consistency: chunk
exports:
- {name: a, table: 007, format: csv, destination: {type: stdout}, columns: {x: "decimal(9,2)"}}
- {name: b, query_file: b.sql, format: parquet, destination: {type: local, path: "o/{date}"}}
"""


def test_everything_survives_and_only_the_chosen_export_goes_along(tmp_path):
    config = config_from_text(EVERYTHING, tmp_path / "rivet.yaml", env={})
    document = config.to_document(only={"notes"})
    assert [export["name"] for export in document["exports"]] == ["notes"]
    again = config_from_document(document, path=config.path, digest=config.digest, params={})
    assert again.exports == (config.exports[1],)
    assert (again.source, again.on_overlap) == (config.source, config.on_overlap)
    assert [one["name"] for one in config.to_document()["exports"]] == ["orders", "notes"]


def test_secrets_parameters_and_origin_travel(tmp_path):
    path = tmp_path / "rivet.yaml"
    path.write_text(SECRETS)
    (tmp_path / "b.sql").write_text("SELECT '${db}'")
    config = load_config(path, {"db": "shop"}, {"PW": PASSWORD})
    text = json.dumps(config.to_document(only=["a"]))
    again = config_from_document(
        json.loads(text), path=config.path, digest=config.digest, params=config.params
    )
    assert resolve_source(again, {}) == resolve_source(config, {})
    assert resolve_source(again, {}).password.reveal() == PASSWORD
    assert again.exports[0].table == "007"
    assert (again.path, again.base_dir, again.digest) == (path, tmp_path, config.digest)
    assert again.params == {"db": "shop"}
    assert config.warnings
    assert again.warnings == ()
    assert (again.max_connections, again.max_memory_mb, again.parallel_export_processes) == (
        8,
        2048,
        3,
    )
    assert "#word" not in repr(again)


@pytest.mark.parametrize(
    "row_hash", [True, False, ["id"], None], ids=["all", "none", "listed", "absent"]
)
def test_a_switch_that_may_be_a_list(row_hash, survives):
    export = TABLE | {"meta_columns": {"row_hash": row_hash}}
    config = config_from_dict({"source": {"type": "sqlite", "path": "a"}, "exports": [export]})
    assert survives(config).exports[0].meta_columns == config.exports[0].meta_columns


@pytest.mark.parametrize(("key", "keys"), NOT_YET)
def test_what_comes_later_can_be_written_too(key, keys):
    top = {name: value for name, value in keys.items() if name != "export"}
    data = {
        "source": {"type": "sqlite", "path": "a.db"},
        "exports": [TABLE | keys.get("export", {})],
    }
    config = Config.model_validate(data | top)
    document = json.loads(json.dumps(config.to_document()))
    assert Config.model_validate(document) == config, key
    assert Config.model_validate(document).to_document() == document


PERHAPS = {
    "columns": st.dictionaries(
        st.text(max_size=5), st.sampled_from(["bigint", {"type": "text", "invalid": "null"}])
    ),
    "max_file_size": st.sampled_from(["1MB", "1.5 GiB", 12345]),
    "tuning": st.fixed_dictionaries(
        {}, optional={"batch_size": st.integers(1, 10**6), "throttle_ms": st.integers(0, 99)}
    ),
    "quality": st.fixed_dictionaries(
        {}, optional={"null_ratio_max": st.dictionaries(st.text(min_size=1), st.floats(0, 1))}
    ),
    "query": st.text(st.characters(exclude_characters="\x00", codec="utf-8")).filter(str.strip),
    "skip_empty": st.booleans(),
    "compression": st.sampled_from(["gzip", "zstd", "none"]),
    "types": st.fixed_dictionaries({}, optional={"non_finite": st.sampled_from(["null", "text"])}),
    "wave": st.none() | st.integers(0, 9),
}


@settings(max_examples=60, deadline=None)
@given(
    export=st.fixed_dictionaries({}, optional=PERHAPS),
    top=st.fixed_dictionaries(
        {},
        optional={
            "parallel_exports": st.booleans() | st.integers(1, 99),
            "max_connections": st.none() | st.integers(1, 99),
            "on_overlap": st.sampled_from(["wait", "refuse"]),
        },
    ),
    path=st.text(st.characters(exclude_characters="\x00", codec="utf-8")).filter(str.strip),
)
def test_any_accepted_configuration_survives(survives, export, top, path):
    target = {"destination": {"type": "stdout"}, "format": "parquet", "name": "a"}
    read = {} if "query" in export else {"table": "t"}
    data = {"source": {"type": "sqlite", "path": path}, "exports": [target | read | export]} | top
    survives(config_from_dict(data))


def test_rules_are_applied_again(tmp_path):
    config = config_from_text(EVERYTHING, tmp_path / "rivet.yaml", env={})
    document = config.to_document()
    document["exports"][0]["compression_level"] = 99
    with pytest.raises(ConfigSyntaxError, match="gzip is 0 to 9, not 99"):
        config_from_document(document, path=config.path, digest="", params={})
    with pytest.raises(ConfigSyntaxError, match="`exports` is empty"):
        config_from_document(config.to_document(only=()), path=config.path, digest="", params={})


def test_the_digest_of_a_file_is_that_of_its_configuration(tmp_path):
    path = tmp_path / "rivet.yaml"
    for text in (EVERYTHING, EVERYTHING + "# a remark\n", EVERYTHING.replace("\n", "\r\n")):
        for mark in ("", "\ufeff"):
            path.write_bytes((mark + text).encode())
            assert file_digest(path) == file_digest(str(path)) == load_config(path, env={}).digest
    with pytest.raises(ConfigError, match="not found"):
        file_digest(tmp_path / "gone.yaml")


def test_it_takes_a_child_no_time(tmp_path):
    config = config_from_text(EVERYTHING, tmp_path / "rivet.yaml", env={})
    document = json.loads(json.dumps(config.to_document(only={"orders"})))

    def once():
        began = time.process_time()
        config_from_document(document, path=config.path, digest="", params={})
        return time.process_time() - began

    assert min(once() for _ in range(20)) < 0.003
