"""Every refusal of a wrong configuration: words, hint, code, line and column."""

import pytest

from rivet.config.load import config_from_dict, config_from_text
from rivet.errors import ConfigError, ConfigSyntaxError

HEAD = "source:\n  type: sqlite\n  path: shop.db\nexports:\n"
EXPORT = HEAD + "- name: orders\n  format: parquet\n  destination: {type: local, path: out}\n"
FULL = EXPORT + "  table: orders\n"
SERVER = "source:\n  type: postgresql\n"
SERVER_TAIL = "exports: [{name: a, table: t, format: csv, destination: {type: stdout}}]\n"
CLOUD = HEAD + "- name: orders\n  table: t\n  format: parquet\n  destination:\n    type: s3\n"


def refused(text, tmp_path, env=None):
    with pytest.raises(ConfigError) as caught:
        config_from_text(text, tmp_path / "rivet.yaml", env=env or {})
    return caught.value


def place(text, key):
    """Line and column of `key`, one-based; the last place it occurs at."""
    offset = text.rindex(key)
    start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - start + 1


# What is added to FULL, the key the error stands at, words of the message, words of the hint.
OF_AN_EXPORT = [
    ("  formt: csv\n", "formt", "unknown key `formt` in `exports[0]`", "did you mean `format`"),
    ("  Skip-Empty: true\n", "Skip-Empty", "unknown key", "did you mean `skip_empty`"),
    ("  zzz: 1\n", "zzz", "unknown key `zzz`", "known keys: "),
    ("  batch_size: 5\n", "batch_size", "belong under 'exports[].tuning:'", "tuning: {batch_size"),
    ("  row_group_rows: 5\n", "row_group_rows", "unknown key", "'parquet:'"),
    ("  parquet: {row_grp_rows: 5}\n", "row_grp_rows", "exports[0].parquet", "`row_group_rows`"),
    ("  tuning: {batch: 5}\n", "batch:", "unknown key `batch`", "did you mean `batch_size`"),
    ("  quality: {row_count: 5}\n", "row_count:", "unknown key", "did you mean `row_count_"),
    ("  meta_columns: {row_hsh: true}\n", "row_hsh", "unknown key", "`row_hash`"),
    ("  columns: {a: {tpe: text}}\n", "tpe", "exports[0].columns.a", "did you mean `type`"),
    ("  skip_empty: yes\n", "skip_empty", "must be true or false", "write true or false"),
    ("  skip_empty: 1\n", "skip_empty", "must be true or false", None),
    ("  parallel: four\n", "parallel", "must be a whole number", "digits only"),
    ("  parallel: '4'\n", "parallel", "must be a whole number", "without quotes"),
    ("  parallel: 1.0\n", "parallel", "must be a whole number", None),
    ("  parallel: 1_000\n", "parallel", "must be a whole number", "underscores"),
    ("  parallel: 012\n", "parallel", "leading zero", "write 12"),
    ("  parallel: -1\n", "parallel", "must be at least 0, not -1", None),
    ("  parallel: 0\n", "parallel", "must be at least 1, not 0", None),
    ("  parallel: 9999999999999999999999\n", "parallel", "whole number", None),
    ("  query: true\n", "query", "must be text", "put quotes"),
    ("  query: [a]\n", "query", "must be text", None),
    ("  query: ''\n", "query", "must not be empty", None),
    ("  tuning: 5\n", "tuning", "must be a map of keys", None),
    ("  quality: {unique_columns: id}\n", "unique_columns", "must be a list", "begin with `- `"),
    ("  quality: {null_ratio_max: {a: 2}}\n", "a: 2", "must be at most 1", None),
    ("  quality: {null_ratio_max: {a: .nan}}\n", "a: .nan", "", None),
    ("  quality: {row_count_min: 5, row_count_max: 4}\n", "row_count_min", "more than", None),
    ("  quality: {unique_max_entries: 4}\n", "unique_max_entries", "needs `unique_columns`", None),
    ("  mode: fuld\n", "mode", "must be one of full, incremental", "did you mean `full`"),
    ("  compression: zip\n", "compression", "zstd, snappy, gzip, lz4, none", "`gzip`"),
    ("  compression_level: 0\n", "compression_level", "zstd is 1 to 22, not 0", None),
    ("  compression_level: 23\n", "compression_level", "zstd is 1 to 22, not 23", None),
    ("  compression: gzip\n  compression_level: 10\n", "compression_level", "0 to 9", None),
    ("  compression: lz4\n  compression_level: 1\n", "compression_level", "no levels", None),
    ("  max_file_size: 0\n", "max_file_size", "at least 1 byte", None),
    ("  max_file_size: -1MB\n", "max_file_size", "must be a size", None),
    ("  max_file_size: 5 apples\n", "max_file_size", "must be a size", None),
    ("  max_file_size: true\n", "max_file_size", "must be a size", None),
    ("  columns: {a: money}\n", "a: money", "'money' is not a type", "use one of: bool"),
    ("  columns: {a: 'decimal(99,2)'}\n", "a: ", "out of range", None),
    ("  columns: {a: [b]}\n", "a: ", "must be a type such as", None),
    ("  columns: {a: {type: int, invalid: text}}\n", "a: ", "needs `type: text`", None),
    ("  types: {unbounded_numeric: bigint}\n", "unbounded_numeric", "text or decimal", None),
    ("  types: {non_finite: ignore}\n", "non_finite", "fail, null, text", None),
    ("  meta_columns: {row_hash: []}\n", "row_hash", "at least one", None),
    ("  meta_columns: {row_hash: [a, a]}\n", "row_hash", "twice", None),
    ("  meta_columns: {row_hash: id}\n", "row_hash", "true, false or a list", None),
    ("  query: SELECT 1\n", "table", "`query` and `table` exclude each other", "exactly one"),
    ("  parquet: {row_group_strategy: fixed_rows}\n", "row_group_strategy", "needs", None),
    ("  chunk_column: id\n", "chunk_column", "requires `mode: chunked`", "remove `chunk_column`"),
    ("  chunk_size: 5\n", "chunk_size", "requires `mode: chunked`", None),
    ("  chunk_size: 0\n", "chunk_size", "must be at least 1", None),
    ("  chunk_count: 0\n", "chunk_count", "must be at least 1", None),
    ("  chunk_by_days: 0\n", "chunk_by_days", "must be at least 1", None),
    ("  chunk_dense: true\n", "chunk_dense", "requires `mode: chunked`", None),
    ("  chunk_checkpoint: true\n", "chunk_checkpoint", "requires `mode: chunked`", None),
    ("  chunk_max_attempts: 2\n", "chunk_max_attempts", "requires `mode: chunked`", None),
    ("  keyset_incremental: true\n", "keyset_incremental", "requires `mode: chunked`", None),
    ("  days_window: 2\n", "days_window", "requires `mode: time_window`", None),
    ("  cdc: {}\n", "cdc", "requires `mode: cdc`", None),
    ("  mode: incremental\n", "mode", "needs `cursor_column`", None),
    ("  mode: time_window\n", "mode", "needs `time_column`", None),
    (
        "  mode: incremental\n  cursor_column: a\n  incremental_cursor_mode: coalesce\n",
        "incremental_cursor_mode",
        "needs `cursor_fallback_column`",
        None,
    ),
    (
        "  mode: chunked\n  chunk_by_key: a\n  chunk_column: b\n",
        "chunk_column",
        "`chunk_by_key` and `chunk_column` exclude each other",
        None,
    ),
    (
        "  mode: chunked\n  chunk_size_memory_mb: 5\n  chunk_size: 4\n",
        "chunk_size:",
        "exclude each other",
        None,
    ),
    ("  mode: chunked\n  keyset_incremental: true\n", "keyset_incremental", "needs", None),
    ("  partition_by: day\n", "partition_by", "needs {partition}", None),
    ("  tuning: {batch_size: 5, batch_size_memory_mb: 4}\n", "", "exclude each other", "remove"),
    ("  tuning: {batch_size: 0}\n", "batch_size", "must be at least 1", None),
    ("  on_overlap: queue\n", "on_overlap", "refuse, wait", None),
]


@pytest.mark.parametrize(("lines", "key", "words", "hint"), OF_AN_EXPORT)
def test_wrong_key_of_an_export(lines, key, words, hint, tmp_path):
    text = FULL + lines
    error = refused(text, tmp_path)
    assert isinstance(error, ConfigSyntaxError)
    assert words in error.message
    assert hint is None or hint in error.hint
    assert error.error_code.startswith("RIVET_CONFIG_")
    assert (error.line, error.column) == place(text, key) if key else error.line
    assert f"line {error.line}, column {error.column}: " in error.message


# What is put before FULL's keys, words of the message, words of the hint.
OF_THE_TOP = [
    ("parallel_exports: 0", "`parallel_exports` must be at least 1, not 0", "write false"),
    ("parallel_export_processes: -2", "must be at least 1, not -2", "write false"),
    ("parallel_export_processes: yes", "must be true, false or a whole number", "true or false"),
    ("parallel_export_processes: '4'", "must be true, false or a whole number", "without quotes"),
    ("parallel_exports: auto", "must be true, false or a whole number", "write true"),
    ("parallel_exports: 2.5", "must be true, false or a whole number", None),
    ("parallel_exports: [2]", "must be true, false or a whole number", None),
    ("parallel_exports: 04", "leading zero", "write 4"),
    ("paralel_exports: 4", "unknown key", "did you mean `parallel_exports`?"),
    ("parallel_processes: 4", "unknown key", "did you mean `parallel_export_processes`?"),
    ("max_connections: 0", "`max_connections` must be at least 1, not 0", None),
    ("max_connections: true", "`max_connections` must be a whole number", None),
    ("max_connection: 5", "unknown key", "did you mean `max_connections`?"),
    ("max_memory_mb: 383", "must be at least 384, not 383", "one export alone"),
    ("max_memory_mb: 0", "`max_memory_mb` must be at least", "one export alone"),
    ("max_memory_mb: 1GB", "`max_memory_mb` must be a whole number", "digits only"),
    ("max_memory: 5000", "unknown key", "did you mean `max_memory_mb`?"),
]


@pytest.mark.parametrize(("line", "words", "hint"), OF_THE_TOP)
def test_wrong_key_at_the_top(line, words, hint, tmp_path):
    text = f"{line}\n{FULL}"
    error = refused(text, tmp_path)
    assert words in error.message
    assert hint is None or hint in error.hint
    assert (error.line, error.column) == (1, 1)
    assert error.exit_status == 1


@pytest.mark.parametrize(
    "key", ["parallel_exports", "parallel_export_processes", "max_connections", "max_memory_mb"]
)
def test_a_key_of_the_top_that_stands_below(key, tmp_path):
    for text in (f"{FULL}  {key}: 512\n", FULL.replace("exports:", f"  {key}: 512\nexports:")):
        error = refused(text, tmp_path)
        assert f"unknown key `{key}`" in error.message
        assert f"`{key}` belongs at the top level" in error.hint


OF_THE_REST = [
    ("", "the configuration is empty", "RIVET_CONFIG_YAML_INVALID"),
    ("[]", "must be a map of keys", "RIVET_CONFIG_YAML_INVALID"),
    ("just words", "must be a map of keys", "RIVET_CONFIG_YAML_INVALID"),
    ("exports: []", "`source` is missing", "RIVET_CONFIG_YAML_INVALID"),
    (HEAD.replace("exports:\n", ""), "`exports` is missing", "RIVET_CONFIG_YAML_INVALID"),
    (HEAD, "`exports` is missing", "RIVET_CONFIG_YAML_INVALID"),
    (HEAD + "  []\n", "`exports` is empty", "RIVET_CONFIG_NO_EXPORTS"),
    (HEAD + "  {a: b}\n", "`exports` must be a list", "RIVET_CONFIG_YAML_INVALID"),
    (HEAD + "- {}\n", "`name` is missing in `exports[0]`", "RIVET_CONFIG_YAML_INVALID"),
    (EXPORT, "nothing says what to read", "RIVET_CONFIG_EXPORT_SOURCE_INVALID"),
    (FULL + FULL.removeprefix(HEAD), "used twice", "RIVET_CONFIG_DUPLICATE_EXPORT"),
    (FULL + "exprots: 1\n", "unknown key `exprots`", "RIVET_CONFIG_YAML_INVALID"),
    (FULL.replace("orders", "a/b", 1), "file name", "RIVET_CONFIG_PATH_UNSAFE"),
    (FULL.replace("orders", ".a", 1), "file name", "RIVET_CONFIG_PATH_UNSAFE"),
    (FULL.replace("orders", "a..b", 1), "file name", "RIVET_CONFIG_PATH_UNSAFE"),
    (FULL.replace("orders", '"a\\0"', 1), "NUL", "RIVET_CONFIG_VALUE_OUT_OF_RANGE"),
    (FULL.replace("path: out", "path: ../x"), "plain folder", "RIVET_CONFIG_PATH_UNSAFE"),
    (FULL.replace("path: out", "path: s3://b"), "plain folder", "RIVET_CONFIG_PATH_UNSAFE"),
    (FULL.replace("path: out", "path: 'o/{day}'"), "{day}", "RIVET_CONFIG_VALUE_OUT_OF_RANGE"),
    (FULL.replace(", path: out", ""), "`destination.path` is missing", None),
    (
        EXPORT + "  query_file: ../q.sql\n",
        "query_file path must not contain '..'",
        "RIVET_CONFIG_EXPORT_SOURCE_INVALID",
    ),
    (EXPORT + "  query_file: /q.sql\n", "must be relative", "RIVET_CONFIG_EXPORT_SOURCE_INVALID"),
    (
        FULL.replace("parquet", "csv", 1) + "  compression: zstd\n",
        "`compression` does not go with `format: csv`",
        "RIVET_CONFIG_CSV_COMPRESSION_UNSUPPORTED",
    ),
    (
        FULL.replace("parquet", "csv", 1) + "  compression_profile: fast\n",
        "`compression_profile` does not go with",
        "RIVET_CONFIG_CSV_COMPRESSION_UNSUPPORTED",
    ),
    (FULL.replace("sqlite", "sqlit"), "'sqlit'", "RIVET_CONFIG_UNKNOWN_ENGINE"),
    (
        FULL.replace("path: shop.db", "batch_size: 5"),
        "belong under 'source.tuning:'",
        "RIVET_CONFIG_YAML_INVALID",
    ),
    (CLOUD, "`destination.bucket` is missing", None),
    (
        CLOUD + "    bucket: b\n    access_key_env: A\n",
        "needs `secret_key_env`",
        "RIVET_CONFIG_DESTINATION_AUTH_INVALID",
    ),
    (
        CLOUD + "    bucket: b\n    endpoint: https://evil.example\n",
        "endpoint",
        "RIVET_CONFIG_DESTINATION_ENDPOINT_UNSAFE",
    ),
    (
        CLOUD.replace("s3", "gcs") + "    bucket: b\n    credentials_file: nope.json\n",
        "does not exist",
        "RIVET_CONFIG_DESTINATION_AUTH_INVALID",
    ),
    (
        CLOUD.replace("s3", "azure") + "    bucket: b\n",
        "azure needs",
        "RIVET_CONFIG_DESTINATION_AUTH_INVALID",
    ),
]


@pytest.mark.parametrize(("text", "words", "code"), OF_THE_REST)
def test_wrong_configuration(text, words, code, tmp_path):
    error = refused(text, tmp_path)
    assert words in error.message
    assert code is None or error.error_code == code
    assert error.exit_status == 1


OF_A_SERVER = [
    ("", "says not where the database is"),
    ("  url: postgresql://h/d\n  url_env: X\n", "`source.url` and `source.url_env` exclude"),
    ("  url: postgresql://h/d\n  host: h\n", "`source.url` and `source.host` exclude"),
    ("  url_env: X\n  service: s\n", "exclude each other"),
    ("  host: h\n  user: u\n", "`source.database` is missing"),
    ("  user: u\n  database: d\n", "`source.host` is missing"),
    ("  host: h\n  database: d\n", "`source.user` is missing"),
    ("  host: h\n  user: u\n  database: d\n  port: 70000\n", "must be at most 65535"),
    (
        "  host: h\n  user: u\n  database: d\n  password: p1x\n  password_env: P\n",
        "`source.password` and `source.password_env` exclude",
    ),
    ("  path: a.db\n", "it is a server"),
    ("  url: mysql://h/d\n", "is the address of mysql, and `source.type` is postgresql"),
    ("  url: h/d\n", "does not begin with postgresql://"),
    (
        "  url_env: X\n  tls: {mode: verify-ca, accept_invalid_certs: true}\n",
        "contradicts `mode: verify-ca`",
    ),
    ("  url_env: X\n  tls: {mode: prefer}\n", "disable, require, verify-ca, verify-full"),
]


@pytest.mark.parametrize(("lines", "words"), OF_A_SERVER)
def test_wrong_source(lines, words, tmp_path):
    error = refused(SERVER + lines + SERVER_TAIL, tmp_path)
    assert words in error.message
    assert "p1x" not in error.message + (error.hint or "")


def test_batch_keys_exclude_each_other_across_levels(tmp_path):
    text = FULL.replace("exports:", "  tuning: {batch_size_memory_mb: 8}\nexports:")
    error = refused(text + "  tuning: {batch_size: 100}\n", tmp_path)
    assert "source.tuning.batch_size_memory_mb" in error.message
    assert (error.line, error.column) == place(text + "  tuning: {batch_size", "batch_size")


def test_the_first_wrong_key_in_the_text_is_named(tmp_path):
    error = refused(FULL + "  skip_empty: 5\n  verify: maybe\n", tmp_path)
    assert "skip_empty" in error.message


def test_plain_data_is_refused_in_the_same_words():
    with pytest.raises(ConfigSyntaxError, match="unknown key `typ` in `source`") as caught:
        config_from_dict({"source": {"typ": "sqlite"}, "exports": []})
    assert caught.value.line is None


PG = "source:\n  type: postgresql\n  url_env: U\n  session: {%s}\n" + SERVER_TAIL
OF_A_SESSION = [
    ("bad-name: x", "bad-name", "no name of a setting"),
    ("client_encoding: LATIN1", "client_encoding", "decided by Rivet"),
    ("Statement_Timeout: 5", "Statement_Timeout", "decided by Rivet"),
    ("TimeZone: [a]", "TimeZone", "must be text"),
    ("TimeZone: ''", "TimeZone", "must not be empty"),
]


@pytest.mark.parametrize(("keys", "at", "words"), OF_A_SESSION)
def test_a_setting_of_sessions_that_cannot_be_chosen_is_refused_by_name(tmp_path, keys, at, words):
    error = refused(PG % keys, tmp_path)
    assert words in error.message
    assert f"source.session.{at}" in error.message or at in error.message


def test_settings_of_sessions_need_a_server(tmp_path):
    error = refused(FULL.replace("  path:", "  session: {TimeZone: UTC}\n  path:"), tmp_path)
    assert "`source.session` does not go with `sqlite`" in error.message
