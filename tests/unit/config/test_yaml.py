"""YAML's traps, the errors of its syntax, and text that is not YAML at all."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rivet.config.document import parse
from rivet.config.load import config_from_text
from rivet.errors import ConfigError, ConfigSyntaxError

EXPORT = (
    "exports:\n- name: orders\n  table: t\n  format: csv\n  destination: {type: local, path: out}\n"
)
SOURCE = "source:\n  type: sqlite\n  path: shop.db\n"


def load(text, tmp_path, env=None):
    return config_from_text(text, tmp_path / "rivet.yaml", env=env or {})


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("12:30", "12:30"),
        ("2024-01-02", "2024-01-02"),
        ("1_000", "1_000"),
        ("012", 12),
        ("'012'", "012"),
        ("0x1F", 31),
        ("0o17", 15),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        ("-.inf", float("-inf")),
        ("1.7.0", "1.7.0"),
        ("true", True),
        ("~", None),
        ("", None),
        ("'~'", "~"),
        ("!!str 12", "12"),
        ("=", "="),
        ("9" * 40, "9" * 40),
        ("1e999", "1e999"),
    ],
)
def test_plain_values(written, value):
    found = parse(f"key: {written}\n").data["key"]
    assert found == value
    assert isinstance(found, bool) == isinstance(value, bool)


@pytest.mark.parametrize("name", ["no", "on", "012", "0123.50", "2024", "1e3", "12:30", "0x1F"])
def test_a_number_where_text_is_wanted_stays_as_written(name, tmp_path):
    config = load(SOURCE + EXPORT.replace("orders", name), tmp_path)
    assert config.exports[0].name == name


def test_byte_order_mark_and_line_ends(tmp_path):
    text = "\ufeff" + (SOURCE + EXPORT).replace("\n", "\r\n")
    assert load(text, tmp_path).exports[0].name == "orders"


def test_anchors_and_merges(tmp_path):
    text = (
        SOURCE
        + "exports:\n- &base\n  name: a\n  table: t\n  format: csv\n  destination: {type: stdout}\n"
        + "- <<: *base\n  name: b\n"
    )
    assert [export.name for export in load(text, tmp_path).exports] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "line", "column", "words", "hint"),
    [
        ("source:\n\ttype: sqlite\n", 2, 1, "", "TAB"),
        ("a: 1\nb: 2\na: 3\n", 3, 1, "`a` is written twice", "keep one"),
        ("a:\n  b: 1\n  b: 2\n", 3, 3, "`b` is written twice", "keep one"),
        ("a: {b: 1, b: 2}\n", 1, 11, "`b` is written twice", "keep one"),
        ("a: [1, 2\nb: 3\n", 2, 2, "", None),
        ("a: b: c\n", 1, 5, "", "quotes"),
        ("a: @b\n", 1, 4, "", "quotes"),
        ("a: {b} c\n", 1, 8, "", "quotes"),
        ("a: *nope\n", 1, 4, "alias", None),
        ("a: &x [*x]\n", 1, 4, "never ends", None),
        ("? [a]\n: 1\n", 1, 3, "a key must be text", None),
        ("a: !!python/object:os.system x\n", 1, 4, "tag", "without a tag"),
        ("a: !secret x\n", 1, 4, "tag", "without a tag"),
        ("a: !secret {b: 1}\n", 1, 4, "tag", "without a tag"),
        ("a: 1\n---\nb: 2\n", 2, 1, "more than one YAML document", None),
        ("a: 'b\n", 2, 1, "", None),
        ("<<: 5\n", 1, 5, "takes a map", None),
        ("a: \x01\n", 1, 4, "character", None),
    ],
)
def test_syntax(text, line, column, words, hint, tmp_path):
    with pytest.raises(ConfigSyntaxError) as caught:
        load(text, tmp_path)
    error = caught.value
    assert (error.line, error.column) == (line, column), error.message
    assert words in error.message
    assert hint is None or hint in error.hint


def test_nesting_and_alias_bombs_end(tmp_path):
    for text in ("[" * 900, "a: " + "[" * 100 + "]" * 100, "{a: " * 2000):
        with pytest.raises(ConfigError):
            load(text, tmp_path)
    bomb = "a: &a [x]\n" + "".join(
        f"{new}: &{new} [*{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}]\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(ConfigSyntaxError, match="aliases counted"):
        load(bomb, tmp_path)


_PIECES = st.sampled_from(
    [
        "source:",
        "exports:",
        "- ",
        "name: ",
        "type: sqlite",
        "\n",
        "  ",
        "\t",
        "{",
        "}",
        "[",
        "]",
        "${",
        "${X}",
        ": ",
        "&a ",
        "*a",
        "!!int ",
        "'",
        '"',
        "|",
        ">",
        "#",
        "---\n",
        "? ",
        "<<",
        "%YAML 1.1\n",
        "\ufeff",
        "\x00",
        "\u2028",
        "012",
        "1e5",
        "~",
        "destination:",
        "columns:",
    ]
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.one_of(st.text(max_size=200), st.lists(_PIECES, max_size=40).map("".join)))
def test_any_text_is_taken_or_refused_by_one_error(text, tmp_path):
    words = ""
    try:
        load(text, tmp_path, env={"X": "0sesame0"})
    except ConfigError as error:
        words = f"{error.message} {error.hint}"
    assert "0sesame0" not in words


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "name", "path", "tuning", "a", "url"]), inner)
    ),
    max_leaves=8,
)
_KEYS = st.sampled_from(
    [
        "name",
        "table",
        "query",
        "format",
        "destination",
        "mode",
        "columns",
        "quality",
        "tuning",
        "parquet",
        "meta_columns",
        "max_file_size",
        "load",
        "cdc",
        "types",
        "on_overlap",
        "wave",
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    source=st.dictionaries(
        st.sampled_from(["type", "url", "host", "tls", "mongo", "path"]), _VALUES
    ),
    exports=st.lists(st.dictionaries(_KEYS, _VALUES), max_size=3) | _VALUES,
)
def test_any_value_is_taken_or_refused_by_one_error(source, exports, tmp_path):
    from rivet.config.load import config_from_dict

    for data in ({"source": source, "exports": exports}, {"source": exports, "exports": source}):
        try:
            config_from_dict(data, tmp_path)
        except ConfigError:
            continue
