"""What this version accepts, and what a loaded configuration holds."""

import pickle

import pytest

from rivet.config.load import config_from_dict, config_from_text, load_config
from rivet.config.models import Config
from rivet.errors import ConfigError
from rivet.model.output import Compression
from rivet.model.plan import DriftPolicy, Mode
from rivet.model.types import InvalidPolicy

EVERYTHING = """
source:
  type: postgresql
  url_env: DATABASE_URL
  environment: production
  tuning:
    profile: balanced
    batch_size_memory_mb: 8
    throttle_ms: 0
    statement_timeout_s: 60
    max_retries: 2
    retry_backoff_ms: 100
    lock_timeout_s: 5
    memory_threshold_mb: 0
    on_batch_memory_exceeded: warn
    adaptive: false
    max_value_mb: 64
    connect_timeout_s: 3
    read_timeout_s: 90
  tls: {mode: verify-full, ca_file: ca.pem}
parallel_exports: false
parallel_export_processes: false
on_overlap: wait
exports:
- name: orders
  table: public.orders
  mode: full
  parallel: 1
  chunk_size: 100000
  format: parquet
  compression: gzip
  compression_level: 9
  skip_empty: true
  destination: {type: local, path: "out/{export}/{date}"}
  verify: size
  meta_columns: {exported_at: true, row_hash: [id]}
  quality:
    row_count_min: 1
    row_count_max: 10
    null_ratio_max: {note: 0.5, id: 0}
    unique_columns: [id]
    unique_max_entries: 1000
  max_file_size: 1.5GB
  tuning: {profile: fast}
  columns: {id: bigint, price: {type: "decimal(18,4)", invalid: "null"}}
  types: {unbounded_numeric: "decimal(38,10)", non_finite: text, out_of_range: fail}
  strict_types: true
  on_schema_drift: fail
  shape_drift_warn_factor: 0
  parquet: {row_group_strategy: fixed_rows, row_group_rows: 5000}
  source_group: shop
  reconcile_required: true
  wave: 1
  parallel_safe: true
- name: notes
  query: SELECT 1
  format: csv
  compression: none
  destination: {type: stdout}
  on_overlap: refuse
  consistency: chunk
"""


def test_every_key_of_this_version(tmp_path):
    config = config_from_text(EVERYTHING, tmp_path / "rivet.yaml", env={})
    orders, notes = config.exports
    assert orders.mode is Mode.FULL
    assert orders.compression is Compression.GZIP
    assert orders.on_schema_drift is DriftPolicy.FAIL
    assert orders.columns["price"].invalid is InvalidPolicy.NULL
    assert orders.meta_columns.row_hash == ("id",)
    assert orders.max_file_size == 3 * 512 * 1024 * 1024
    assert (orders.on_overlap, notes.on_overlap) == ("wait", "refuse")
    assert (orders.consistency, notes.consistency) == ("export", "chunk")
    assert (config.path, config.base_dir) == (tmp_path / "rivet.yaml", tmp_path)
    assert config.warnings == ()


@pytest.mark.parametrize("value", [True, False, 1, 64])
@pytest.mark.parametrize("key", ["parallel_exports", "parallel_export_processes"])
def test_running_side_by_side(key, value, tmp_path):
    written = str(value).lower()
    text = EVERYTHING.replace(f"{key}: false", f"{key}: {written}")
    taken = getattr(config_from_text(text, tmp_path / "rivet.yaml", env={}), key)
    assert taken == value
    assert type(taken) is type(value)


def test_budgets(tmp_path):
    text = f"max_connections: 1\nmax_memory_mb: 384\n{EVERYTHING}"
    config = config_from_text(text, tmp_path / "rivet.yaml", env={})
    assert (config.max_connections, config.max_memory_mb) == (1, 384)
    plain = config_from_text(EVERYTHING, tmp_path / "rivet.yaml", env={})
    assert (plain.max_connections, plain.max_memory_mb) == (None, None)


def test_a_file(tmp_path):
    (tmp_path / "rivet.yaml").write_text(EVERYTHING)
    first = load_config(tmp_path / "rivet.yaml", env={})
    (tmp_path / "rivet.yaml").write_text(EVERYTHING + "# a remark\n")
    second = load_config(str(tmp_path / "rivet.yaml"), env={})
    assert first == Config.model_validate(first.model_dump(by_alias=True)) or first.exports
    assert len(first.digest) == 16
    assert first.digest != second.digest


def test_a_relative_path_gives_an_absolute_folder(tmp_path, monkeypatch):
    (tmp_path / "rivet.yaml").write_text(EVERYTHING)
    monkeypatch.chdir(tmp_path)
    assert load_config("rivet.yaml", env={}).base_dir == tmp_path


def test_missing_file_folder_and_binary(tmp_path):
    with pytest.raises(ConfigError, match=r"none.yaml' not found") as missing:
        load_config(tmp_path / "none.yaml")
    assert "rivet demo" in missing.value.hint
    with pytest.raises(ConfigError, match="is a folder"):
        load_config(tmp_path)
    (tmp_path / "binary").write_bytes(b"a: 1\nb: \xff\xfe\n")
    with pytest.raises(ConfigError, match="line 2: not UTF-8 text"):
        load_config(tmp_path / "binary")


def test_plain_data(tmp_path):
    export = {"name": "a", "table": "t", "format": "csv", "destination": {"type": "stdout"}}
    config = config_from_dict(
        {"source": {"type": "sqlite", "path": "a.db"}, "exports": [export, export | {"name": "b"}]},
        tmp_path,
    )
    assert [export.name for export in config.exports] == ["a", "b"]
    assert config.base_dir == tmp_path


def test_it_is_frozen_hides_secrets_and_survives_pickle(tmp_path):
    text = EVERYTHING.replace("url_env: DATABASE_URL", "url: postgresql://u:sesame9@h/d")
    config = config_from_text(text, tmp_path / "rivet.yaml", {"a": "1"}, {})
    with pytest.raises(ValueError, match="frozen"):
        config.exports[0].name = "b"
    assert "sesame9" not in repr(config)
    assert "sesame9" not in str(config.source)
    copy = pickle.loads(pickle.dumps(config))
    assert copy == config
    assert (copy.path, copy.digest, copy.params) == (config.path, config.digest, config.params)


@pytest.mark.parametrize("block", ["tuning:", "tuning: {}", "tuning: null", "tuning: ~"])
def test_an_empty_block_equals_none(block, tmp_path):
    from rivet.config.resolve import resolve_tuning

    text = f"{EVERYTHING}  {block}\n"
    config = config_from_text(text, tmp_path / "rivet.yaml", env={})
    plain = config_from_text(EVERYTHING, tmp_path / "rivet.yaml", env={})
    assert resolve_tuning(config, config.exports[1]) == resolve_tuning(plain, plain.exports[1])


def test_warnings(tmp_path):
    path = tmp_path / "rivet.yaml"
    inline = EVERYTHING.replace("url_env: DATABASE_URL", "url: postgresql://u:sesame9@h/d")
    (plain,) = config_from_text(inline, path, env={}).warnings
    assert "url_env" in plain
    assert "sesame9" not in plain
    fields = "host: h\n  user: u\n  database: d\n  password: sesame9"
    (plain,) = config_from_text(EVERYTHING.replace("url_env: DATABASE_URL", fields), path).warnings
    assert "password_env" in plain
    profile = EVERYTHING.replace(
        "compression: gzip", "compression: gzip\n  compression_profile: fast"
    )
    (profile,) = config_from_text(profile, path).warnings
    assert "wins" in profile


def test_one_warning_per_unused_parameter(tmp_path):
    text = EVERYTHING.replace("SELECT 1", "SELECT ${x}")
    config = config_from_text(text, tmp_path / "rivet.yaml", {"x": "2", "y": "3"}, {})
    assert config.exports[1].query == "SELECT 2"
    (warning,) = config.warnings
    assert "'y' was not referenced" in warning
