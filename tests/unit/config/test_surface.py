"""The whole surface: keys of the reference, keys not in this version, schema and page."""

import json
from pathlib import Path

import pytest

from rivet.config.lint import MISSING
from rivet.config.load import config_from_dict
from rivet.config.models import Config
from rivet.config.schema import config_schema, key_paths
from rivet.errors import ConfigSyntaxError

REFERENCE_KEYS = (Path(__file__).parent / "reference_keys.txt").read_text().split()
TABLE = {"name": "a", "table": "t", "format": "parquet", "destination": {"type": "stdout"}}


def config(export=None, **top):
    source = {"type": "sqlite", "path": "a.db"}
    return config_from_dict({"source": source, "exports": [TABLE | (export or {})]} | top)


def test_every_key_of_the_reference_is_known():
    assert len(REFERENCE_KEYS) > 200
    assert set(REFERENCE_KEYS) - set(key_paths()) == set()


NOT_YET = [
    ("source.type", {"source": {"type": "mssql", "url": "sqlserver://h/d"}}),
    ("source.type", {"source": {"type": "mongo", "url": "mongodb+srv://h/d", "mongo": {}}}),
    ("source.type", {"source": {"type": "oracle", "url_env": "U"}}),
    ("exports.mode", {"export": {"mode": "cdc", "cdc": {"backfill": "auto"}}}),
    (
        "exports.partition_by",
        {"export": {"partition_by": "d", "destination": {"type": "local", "path": "{partition}"}}},
    ),
    ("exports.verify", {"export": {"verify": "content"}}),
    ("exports.target", {"export": {"target": "bigquery"}}),
    ("exports.shape_drift_warn_factor", {"export": {"shape_drift_warn_factor": 2.0}}),
    ("notifications", {"notifications": {"slack": {"webhook_url_env": "W", "on": ["failure"]}}}),
    ("load", {"load": {"target": "bigquery", "pk": "auto", "partition": "none"}}),
    ("tuning.max_batch_memory_mb", {"export": {"tuning": {"max_batch_memory_mb": 5}}}),
    (
        "tuning.on_batch_memory_exceeded",
        {"export": {"tuning": {"on_batch_memory_exceeded": "fail"}}},
    ),
]


LOAD = {"target": "bigquery", "project": "p", "dataset": "d"}
HARMLESS = {row.key for row in MISSING if row.is_harmless}


@pytest.mark.parametrize(("key", "keys"), [one for one in NOT_YET if one[0] in HARMLESS])
def test_what_takes_nothing_from_the_rows_is_a_warning_by_name(key, keys):
    (told,) = config(**keys).warnings
    assert "not in this version" in told
    assert key.rpartition(".")[2] in told


def test_a_load_is_a_warning_for_the_file_and_for_each_export_that_changes_it():
    told = config(export={"load": {"pk": ["id"]}}, load=LOAD).warnings
    assert [text.partition(":")[0] for text in told] == ["`exports[0].load`", "`load`"]
    with pytest.raises(ConfigSyntaxError, match="needs a `load:` block") as caught:
        config(export={"load": {"pk": ["id"]}})
    assert caught.value.error_code == "RIVET_CONFIG_LOAD_BLOCK_INVALID"


@pytest.mark.parametrize(("key", "keys"), [one for one in NOT_YET if one[0] not in HARMLESS])
def test_what_is_not_in_this_version_is_refused_by_name(key, keys):
    with pytest.raises(ConfigSyntaxError, match="not in this version") as caught:
        config(**keys)
    assert caught.value.error_code == "RIVET_CONFIG_NOT_IN_THIS_VERSION"
    assert key.rpartition(".")[2] in caught.value.message
    assert caught.value.hint


UNUSED = [
    ({"parallel": 2}, "`parallel` has no effect with `mode: full`"),
    ({"cursor_column": "id"}, "`cursor_column` has no effect with `mode: full`"),
    ({"time_column": "d"}, "`time_column` has no effect with `mode: full`"),
    (
        {"mode": "incremental", "cursor_column": "id", "time_column": "d", "parallel": 4},
        "`parallel` has no effect with `mode: incremental`",
    ),
    ({"mode": "chunked", "cursor_column": "id"}, "`cursor_column` has no effect"),
    ({"cursor_fallback_column": "d"}, "`cursor_fallback_column` has no effect"),
    ({"incremental_cursor_mode": "coalesce"}, "`incremental_cursor_mode` has no effect"),
    ({"mode": "chunked", "time_column_type": "unix"}, "`time_column_type` has no effect"),
    (
        {"destination": {"type": "local", "path": "out", "bucket": "b", "access_key_env": "K"}},
        "`destination.bucket` has no effect with `type: local`",
    ),
    (
        {"format": "csv", "destination": {"type": "stdout", "path": "out"}},
        "`destination.path` has no effect with `type: stdout`",
    ),
    ({"format": "csv", "parquet": {}}, "`parquet` has no effect with `format: csv`"),
    (
        {"parquet": {"row_group_rows": 5}},
        "`parquet.row_group_rows` has no effect with `row_group_strategy: auto`",
    ),
    (
        {
            "parquet": {
                "row_group_strategy": "fixed_rows",
                "row_group_rows": 5,
                "target_row_group_mb": 1,
            }
        },
        "`parquet.target_row_group_mb` has no effect",
    ),
]


@pytest.mark.parametrize(("keys", "words"), UNUSED)
def test_keys_without_effect_are_warnings(keys, words):
    found = config(export=keys)
    assert words in found.warnings[0]
    assert found.warnings[0].startswith("export 'a': ")
    is_chunked = keys.get("mode") == "chunked"
    assert found.exports[0].workers == (keys.get("parallel", 1) if is_chunked else 1)


def test_a_block_of_another_kind_of_source_has_no_effect():
    (told,) = config(source={"type": "postgres", "url_env": "U", "mongo": {}}).warnings
    assert told.startswith("`source.mongo`: document sources are not in this version")


def test_keys_that_have_their_effect_are_none():
    chunked = {"mode": "chunked", "parallel": 3}
    assert config(export=chunked).warnings == ()
    assert config(export=chunked).exports[0].workers == 3
    assert config(export={"parquet": {"target_row_group_mb": 5}}).warnings == ()


def test_every_row_of_the_table_names_a_key_and_has_a_test():
    known = {path.replace("[]", "") for path in key_paths()}
    reached = {key for key, _ in NOT_YET} | {"exports.load"}
    for row in MISSING:
        assert row.key in known or f"source.{row.key}" in known
        # These are refused together with the mode or the type they belong to.
        assert row.key in reached | {"source.mongo", "exports.tables", "exports.cdc"}


def test_schema_is_json_and_describes_every_key():
    schema = config_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["title"].startswith("Rivet config (pyrivet ")
    assert schema["$defs"]["TuningConfig"]["properties"]["batch_size"]["anyOf"][0] == {
        "minimum": 1,
        "type": "integer",
    }
    sections = [schema, *schema["$defs"].values()]
    for section in sections:
        assert section.get("additionalProperties", False) is False
        for key, value in section.get("properties", {}).items():
            assert value.get("description"), key


def test_descriptions_say_what_is_not_in_this_version():
    sections = config_schema()["$defs"]
    keys = sections["ExportConfig"]["properties"]
    assert "Not in this version (refused): remove" in keys["partition_by"]["description"]
    assert "Not in this version (a warning): remove" in keys["target"]["description"]
    assert keys["mode"]["description"].endswith("use `mode: incremental` with a cursor.")
    assert "this version" not in keys["name"]["description"]
    tuning = sections["TuningConfig"]["properties"]
    assert "this version" in tuning["max_batch_memory_mb"]["description"]


def test_models_take_their_own_dump():
    first = config({"columns": {"a": "bigint"}, "max_file_size": "1MB"})
    dump = first.model_dump(by_alias=True, exclude_defaults=True)
    again = Config.model_validate(dump)
    assert (again.source, again.exports) == (first.source, first.exports)
