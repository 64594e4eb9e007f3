"""Refusals of a configuration: what was wrong, and the same once the hint was followed."""

from __future__ import annotations

from support.hintcases.case import Case, body

_LOCAL = {"type": "local", "path": "out/{export}"}
_PG = {"type": "postgresql", "url_env": "DATABASE_URL"}
_HOST = {"type": "postgresql", "host": "localhost", "user": "u", "database": "d"}
_S3 = {"type": "s3", "bucket": "b", "region": "eu-west-1"}


def _served(broken, mended):
    return {
        "broken": body(source={"type": "postgresql", **broken}),
        "mended": body(source={"type": "postgresql", **mended}),
        "is_run": False,
    }


def _export(broken, mended, **rest):
    return {"broken": body(broken), "mended": body(mended), **rest}


def _yaml(broken, mended):
    head = "source: {type: sqlite, url: 'sqlite:///shop.db'}\n"
    tail = "  format: csv\n  destination: {type: local, path: out}\n"
    first = "exports:\n- name: orders\n"
    return {"broken": head + first + broken + tail, "mended": head + first + mended + tail}


_INCREMENTAL = {"mode": "incremental", "cursor_column": "id"}
_RULES = "config/export_rules.py: "
_WORDS = "config/wording.py: "
_SOURCE = "config/rules.py: "
_PLACE = "config/destination_rules.py: "
_TEXT = "config/document.py: "
_LOAD = "config/load.py: "
_FOUND = "config/resolve.py: "

CASES = (
    # What the YAML is.
    Case(
        _TEXT + "YAML does not allow TAB characters for indentation: use spaces",
        **_yaml("\ttable: orders\n", "  table: orders\n"),
    ),
    Case(
        _TEXT + "put quotes around a value that begins with { or holds {...}",
        **_yaml("  query: {x} from y\n", "  query: '{x} from y'\n"),
        is_run=False,
    ),
    Case(
        _TEXT + "put quotes around a value that begins with { or [",
        **_yaml("  {a: 1}: orders\n", "  table: orders\n"),
    ),
    Case(
        _TEXT + "put quotes around a value that begins with @, ` or %",
        **_yaml("  table: @orders\n", "  table: '@orders'\n"),
        is_run=False,
    ),
    Case(
        _TEXT + "put quotes around a value that holds a colon and a blank",
        **_yaml("  query: select 1 as a: b\n", "  query: 'select 1 as \"a: b\"'\n"),
    ),
    Case(
        _TEXT + "close the quote that is still open",
        **_yaml("  table: 'orders\n", "  table: 'orders'\n"),
    ),
    Case(
        _TEXT + "keep one of the two",
        **_yaml("  table: orders\n  table: bare\n", "  table: orders\n"),
    ),
    Case(
        _TEXT + "write the value without a tag",
        **_yaml("  table: !new orders\n", "  table: orders\n"),
    ),
    Case(
        _TEXT + "remove the control character",
        **_yaml("  table: or\x01ders\n", "  table: orders\n"),
    ),
    Case(_LOAD + "add `source:` and `exports:`", broken="", mended=body()),
    Case(_LOAD + "begin with `source:`", broken="[1]", mended=body()),
    # Keys and values.
    Case(
        _WORDS + "add `exports:` with at least one export", broken=body(exports=None), mended=body()
    ),
    Case(
        _WORDS + "add `source:` with a `type` and a connection, such as `url_env: DATABASE_URL`",
        broken={"exports": body()["exports"]},
        mended=body(source={"type": "sqlite", "url_env": "DATABASE_URL"}),
        env={"DATABASE_URL": "sqlite:///shop.db"},
    ),
    Case(_WORDS + "give every export a unique `name:`", **_export({"name": None}, {"name": "x"})),
    Case(
        _WORDS + "add `format: parquet` or `format: csv`",
        **_export({"format": None}, {"format": "csv"}),
    ),
    Case(
        _WORDS + "add `destination: {type: local, path: ./out}`",
        **_export({"destination": None}, {"destination": {"type": "local", "path": "./out"}}),
    ),
    Case(
        _WORDS + "add `type:`",
        **_export({"destination": {"path": "out"}}, {}),
    ),
    Case(
        _WORDS + "write {value}",
        **_yaml("  table: orders\n  keep_runs: 03\n", "  table: orders\n  keep_runs: 3\n"),
    ),
    Case(
        _WORDS + "write false for one after another",
        broken=body(parallel_exports=0),
        mended=body(parallel_exports=False),
    ),
    Case(_WORDS + "did you mean `{}`?", **_export({"formt": "csv"}, {"format": "csv"})),
    Case(
        _WORDS + "use one of: {}",
        broken=body(source={"type": "qqq", "url": "sqlite:///shop.db"}),
        mended=body(),
    ),
    Case(
        _WORDS + "`{}` belongs at the top level, beside `source:` and `exports:`",
        broken=body({"max_memory_mb": 900}),
        mended=body(max_memory_mb=900),
    ),
    Case(_WORDS + "known keys: {}", **_export({"zzzzzz": 1}, {})),
    Case(
        _WORDS + "write `tuning: {{}: ...}` under `{}`",
        **_export({"batch_size": 10}, {"tuning": {"batch_size": 10}}),
    ),
    Case(
        _WORDS + "`{}` belongs under '{}'",
        **_export({"row_hash": True}, {"meta_columns": {"row_hash": True}}),
    ),
    Case(
        _WORDS + "write `{}:` and below it items that begin with `- `",
        **_yaml("  table: orders\n  include: id\n", "  table: orders\n  include:\n    - id\n"),
    ),
    Case(_WORDS + "put quotes around it", **_export({"table": True}, {"table": "bare"})),
    Case(
        _WORDS + "one export alone may take that much",
        broken=body(max_memory_mb=1),
        mended=body(max_memory_mb=900),
    ),
    Case(
        _WORDS + "YAML 1.2 reads `{}` as text: write true or false",
        **_yaml(
            "  table: orders\n  meta_columns: {exported_at: yes}\n",
            "  table: orders\n  meta_columns: {exported_at: true}\n",
        ),
    ),
    Case(
        _WORDS + "write true, or a number without quotes",
        broken=body(parallel_exports="2"),
        mended=body(parallel_exports=2),
    ),
    Case(
        _WORDS + "write digits only, without quotes, units or underscores",
        **_export({"keep_runs": "3"}, {"keep_runs": 3}),
    ),
    # Between the keys of an export.
    Case(
        _RULES + "give exactly one of `table`, `query` or `query_file`",
        **_export({"query": "SELECT 1 AS a"}, {}),
    ),
    Case(
        _RULES + "put the file into the configuration's folder",
        **_export(
            {"table": None, "query_file": "../q.sql"}, {"table": None, "query_file": "q.sql"}
        ),
        mended_files={"q.sql": b"SELECT 1 AS a"},
    ),
    Case(
        _RULES + "give one of `chunk_column`, `chunk_by_key`, `chunk_count` or `chunk_by_days`, "
        "or read a `table`",
        **_export(
            {"table": None, "query": "SELECT id FROM orders", "mode": "chunked"},
            {"mode": "chunked"},
        ),
    ),
    Case(_RULES + "remove `keep_runs`", **_export({**_INCREMENTAL, "keep_runs": 3}, _INCREMENTAL)),
    Case(_RULES + "remove `{}`", **_export({"chunk_size": 3}, {})),
    Case(
        _RULES + "remove one of the two",
        **_export(
            {"tuning": {"batch_size": 5, "batch_size_memory_mb": 5}}, {"tuning": {"batch_size": 5}}
        ),
    ),
    Case(
        _RULES + "remove `{}`, or use `format: parquet`",
        **_export({"format": "csv", "compression": "zstd"}, {"compression": "zstd"}),
    ),
    Case(
        "config/cursor_rules.py: name one of the IANA database, such as Europe/Paris or UTC",
        **_export(
            {"mode": "incremental", "cursor_column": "at", "cursor_zone": "Mars/Crater"},
            {"mode": "incremental", "cursor_column": "at", "cursor_zone": "Europe/Paris"},
        ),
    ),
    Case(
        "config/column_rules.py: keep one of them",
        **_export({"include": ["id"], "exclude": ["at"]}, {"include": ["id"]}),
    ),
    Case(
        "config/column_rules.py: give each column its own name",
        **_export({"rename": {"id": "a", "at": "a"}}, {"rename": {"id": "a", "at": "b"}}),
    ),
    Case(
        "config/column_rules.py: remove '{}' from `columns` or from `mask`",
        **_export(
            {"mask": {"customer": "hash"}, "columns": {"customer": "text"}},
            {"mask": {"customer": "hash"}},
        ),
    ),
    Case(
        "model/types.py: use one of: {}",
        **_export({"columns": {"id": "whatever"}}, {"columns": {"id": "bigint"}}),
    ),
    # Destinations.
    Case(_PLACE + "add `path: ./out`", **_export({"destination": {"type": "local"}}, {})),
    Case(
        _PLACE + "add `{}:`",
        **_export({"destination": {"type": "s3"}}, {}),
    ),
    Case(
        _PLACE + "write a folder without .., \\ or a URL scheme",
        **_export({"destination": {"type": "local", "path": "../out"}}, {}),
    ),
    Case(
        _PLACE + "known: {}",
        **_export({"destination": {"type": "local", "path": "out/{nothing}"}}, {}),
    ),
    Case(
        _PLACE + "remove `{}`",
        **_export(
            {"destination": {**_S3, "account_name": "a"}},
            {},
        ),
    ),
    # The source.
    Case(
        _SOURCE
        + "give exactly one of url, url_env, url_file, path, or host with user and database",
        **_served({"url_env": "A", "url_file": "b"}, {"url_env": "A"}),
    ),
    Case(
        _SOURCE + "for example `url_env: DATABASE_URL`",
        **_served({}, {"url_env": "DATABASE_URL"}),
    ),
    Case(
        _SOURCE + "remove `{}`; time limits are set under `tuning`",
        **_served(
            {**_PG, "session": {"statement_timeout": "5"}},
            {**_PG, "tuning": {"statement_timeout_s": 5}},
        ),
    ),
    Case(
        _SOURCE + "declare at least one export under `exports:`",
        broken=body(exports=[]),
        mended=body(),
    ),
    Case(
        _SOURCE + "use letters, digits, _ and -; no / \\ .. or leading dot, at most {} bytes",
        **_export({"name": "a/b"}, {"name": "a-b"}),
    ),
    Case(
        _SOURCE + "give the file with `path:`",
        broken=body(source={"type": "sqlite", "database": "shop.db"}),
        mended=body(source={"type": "sqlite", "path": "shop.db"}),
    ),
    Case(
        _SOURCE + "keep password_env",
        **_served({**_HOST, "password": "p", "password_env": "P"}, {**_HOST, "password_env": "P"}),
    ),
    Case(
        _SOURCE + "separate fields need host, user and database",
        **_served({"host": "localhost"}, _HOST),
    ),
    Case(
        _SOURCE + "remove `session`",
        broken=body(source={"type": "sqlite", "path": "shop.db", "session": {"a": "b"}}),
        mended=body(source={"type": "sqlite", "path": "shop.db"}),
    ),
    Case(
        _SOURCE + "give every export a unique `name`",
        broken=body({}, {}),
        mended=body({}, {"name": "second"}),
    ),
    Case(
        _SOURCE + "use `consistency: export`, the default",
        **_export(
            {**_INCREMENTAL, "consistency": "run"}, {**_INCREMENTAL, "consistency": "export"}
        ),
    ),
    Case(
        _SOURCE + "use a name such as TimeZone",
        **_served({**_PG, "session": {"a b": "c"}}, {**_PG, "session": {"TimeZone": "UTC"}}),
    ),
    Case(
        _SOURCE + "remove it and trust a private authority with `ca_file`, or remove `mode`",
        **_served(
            {**_PG, "tls": {"mode": "verify-full", "accept_invalid_certs": True}},
            {**_PG, "tls": {"mode": "verify-full", "ca_file": "ca.pem"}},
        ),
    ),
    Case(
        "config/source_url.py: make `type` and the URL name the same kind of database: {}://...",
        broken=body(source={"type": "postgresql", "url": "sqlite:///shop.db"}),
        mended=body(source={"type": "sqlite", "url": "sqlite:///shop.db"}),
    ),
    Case(
        _FOUND + "run `export {}=...` first",
        broken=body(source={"type": "sqlite", "url_env": "DATABASE_URL"}),
        mended_env={"DATABASE_URL": "sqlite:///shop.db"},
    ),
    Case(
        _FOUND + "set {} again",
        broken=body(source={"type": "sqlite", "url_env": "DATABASE_URL"}),
        env={"DATABASE_URL": "sqlite:///\x00"},
        mended_env={"DATABASE_URL": "sqlite:///shop.db"},
    ),
    Case(
        _FOUND + "give the path of a file that holds the URL",
        broken=body(source={"type": "sqlite", "url_file": "nothing"}),
        mended=body(source={"type": "sqlite", "url_file": "address"}),
        files={"address": b"sqlite:///shop.db"},
    ),
    Case(
        _FOUND + "write the URL into it",
        broken=body(source={"type": "sqlite", "url_file": "address"}),
        files={"address": b""},
        mended_files={"address": b"sqlite:///shop.db"},
    ),
    Case(
        _FOUND + "paths start at the configuration's folder",
        **_export(
            {"table": None, "query_file": "sql/q.sql"}, {"table": None, "query_file": "q.sql"}
        ),
        files={"q.sql": b"SELECT 1 AS a"},
    ),
    Case(
        _FOUND + "make it a readable UTF-8 file",
        broken=body({"table": None, "query_file": "q.sql"}),
        files={"q.sql": b"SELECT '\xff' AS a"},
        mended_files={"q.sql": b"SELECT 'x' AS a"},
    ),
    Case(
        _FOUND + "write one SELECT into it",
        broken=body({"table": None, "query_file": "q.sql"}),
        files={"q.sql": b" ;\n"},
        mended_files={"q.sql": b"SELECT 'x' AS a"},
    ),
    Case(
        "config/substitute.py: write ${{}}, or ${{}:-text} for a text where {} is not set",
        **_yaml("  table: ${T=orders}\n", "  table: ${T:-orders}\n"),
    ),
    Case(
        "config/substitute.py: set {} to text without NUL characters",
        **_yaml("  table: ${T}\n", "  table: ${T}\n"),
        env={"T": "\x00"},
        mended_env={"T": "orders"},
    ),
    Case(
        "config/substitute.py: keep it in a file, or in an environment variable",
        **_yaml("  query: select '\U000f0001' as a\n", "  query: select '${MARK}' as a\n"),
        env={"MARK": "\U000f0001"},
    ),
)
