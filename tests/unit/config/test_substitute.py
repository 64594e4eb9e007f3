"""`${NAME}`: where values come from, that none is shown, and that places stay right."""

import pytest

from rivet.config.document import parse
from rivet.config.load import config_from_text
from rivet.config.resolve import resolve_source
from rivet.config.substitute import References, substitute, unused_params
from rivet.errors import ConfigError, ConfigSyntaxError, SecretNotFoundError

TEXT = (
    "source: {type: sqlite, path: '${DB}'}\n"
    "exports:\n- name: orders\n  table: t\n  format: csv\n  destination: {type: stdout}\n"
)


def replaced(text, params=None, env=None):
    return substitute(text, params=params or {}, env=env or {}, where="here").text


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("a ${X} b", "a env b"),
        ("${P}${P}", "paramparam"),
        ("${BOTH}", "param"),
        ("a ${} b", "a  b"),
        ("${EMPTY}", ""),
        ("${NEST}", "${X}"),
        ("${X", "${X"),
        ("${X\n}", "${X\n}"),
        ("$X $$ {X}", "$X $$ {X}"),
        ("# ${X}", "# env"),
        ("${X:-y}${P:-y}", "envparam"),
        ("a ${UNSET:-b c: #'\"} d", "a b c: #'\" d"),
        ("${EMPTY:-full}", "full"),
        ("${UNSET:-}", ""),
        ("${UNSET:-$X}", "$X"),
        ("${UNSET:-:-}", ":-"),
        ("$${X}", "${X}"),
        ("$${X:-y} ${X}", "${X:-y} env"),
        ("$$${X}", "$${X}"),
        ("$$${P}$${", "$${P}${"),
        ("$${", "${"),
        ("$$ $ $$X$$", "$$ $ $$X$$"),
    ],
)
def test_values(text, result):
    params = {"P": "param", "BOTH": "param"}
    assert (
        replaced(text, params, {"X": "env", "BOTH": "env", "EMPTY": "", "NEST": "${X}"}) == result
    )


def test_an_unset_name_is_an_error_that_says_how_to_set_it(tmp_path):
    with pytest.raises(SecretNotFoundError, match=r"line 3: \$\{NAME\} is not set") as caught:
        config_from_text("a: 1\nb: 2\nc: ${NAME}\n", tmp_path / "rivet.yaml", env={})
    assert "export NAME=" in caught.value.hint
    assert "--param NAME=" in caught.value.hint
    assert caught.value.error_code == "RIVET_CONFIG_SECRET_UNSET"


@pytest.mark.parametrize("text", ["${NAME-x}", "${NAME:=x}", "${NAME:?x}", "${NAME:+x}"])
def test_other_forms_of_the_shell_are_explained(text):
    with pytest.raises(SecretNotFoundError) as caught:
        replaced(text, env={"NAME": "x"})
    assert "write ${NAME}, or ${NAME:-text}" in caught.value.hint


def test_a_default_is_one_scalar_of_its_own_kind(tmp_path):
    text = TEXT.replace("'${DB}'", "${DB:-b: .db}") + "  skip_empty: ${SKIP:-true}\n"
    config = config_from_text(text, tmp_path / "rivet.yaml", env={})
    assert config.source.path == "b: .db"
    assert config.exports[0].skip_empty is True
    config = config_from_text(text, tmp_path / "rivet.yaml", env={"SKIP": "false", "DB": "c"})
    assert (config.source.path, config.exports[0].skip_empty) == ("c", False)


def test_a_literal_stays_one_also_in_a_url_that_is_resolved_again(tmp_path):
    text = TEXT.replace("{type: sqlite, path: '${DB}'}", "{type: postgresql, url: '$${DB}${U}'}")
    text = text.replace("table: t", "query: SELECT '$${DB}'")
    env = {"U": "${W}", "W": "w", "DB": "seen"}
    config = config_from_text(
        text.replace("$${DB}${U}", "postgresql://u:$${DB}${U}@h/d"),
        tmp_path / "rivet.yaml",
        env=env,
    )
    assert config.exports[0].query == "SELECT '${DB}'"
    assert resolve_source(config, env).url.reveal() == "postgresql://u:${DB}w@h/d"


def test_a_parameter_with_a_default_is_used():
    text = "${A:-1} ${B} $${C}"
    assert unused_params(text, ["A", "B", "C", "D"]) == ("C", "D")


def test_a_default_is_no_secret_of_the_environment(tmp_path):
    text = TEXT.replace("name: orders", "nam: ${MY_TOKEN:-orders} $${x}")
    with pytest.raises(ConfigSyntaxError) as caught:
        config_from_text(text, tmp_path / "rivet.yaml", env={"DB": "a"})
    assert "nam" in caught.value.message


def test_an_empty_but_set_variable_is_taken(tmp_path):
    text = TEXT.replace("'${DB}'", "a.db${NOTHING}")
    config = config_from_text(text, tmp_path / "rivet.yaml", env={"NOTHING": ""})
    assert config.source.path == "a.db"


def test_nul_is_refused_and_not_shown():
    with pytest.raises(ConfigError, match="NUL") as caught:
        replaced("${X}", env={"X": "sesame9\x00"})
    assert "sesame9" not in caught.value.message


@pytest.mark.parametrize("value", ["short", "x" * 300, "two\nlines\nof", ""])
def test_places_are_those_of_the_file_whatever_is_put_in(value, tmp_path):
    text = f"# ${{X}} ${{X}}\n{TEXT}  formt: csv # ${{X}}\n"
    comment = value.replace("\n", "\n# ")
    with pytest.raises(ConfigSyntaxError, match="unknown key `formt`") as caught:
        config_from_text(text, tmp_path / "rivet.yaml", env={"X": comment, "DB": value or "a"})
    assert (caught.value.line, caught.value.column) == (8, 3)


def test_a_column_after_a_value_on_the_same_line_is_right(tmp_path):
    text = TEXT.replace("path: '${DB}'", "path: '${DB}', pth: 1")
    with pytest.raises(ConfigSyntaxError) as caught:
        config_from_text(text, tmp_path / "rivet.yaml", env={"DB": "a" * 80})
    assert (caught.value.line, caught.value.column) == (1, text.index("pth") + 1)


@pytest.mark.parametrize(
    "line",
    ["  mode: ${X}", "  ${X}: 1", "  max_file_size: ${X}", "  columns: {a: '${X}'}", "  a: *${X}"],
)
def test_a_value_of_the_environment_is_never_shown(line, tmp_path):
    env = {"DB": "a.db", "X": "sesame9"}
    with pytest.raises(ConfigError) as caught:
        config_from_text(f"{TEXT}{line}\n", tmp_path / "rivet.yaml", env=env)
    assert "sesame9" not in f"{caught.value} {caught.value.hint}"


NASTY = [
    "two\nlines",
    "a\nexports: []",
    "x # not a comment",
    "key: value",
    "- item",
    "it's",
    'say "so"',
    "back\\slash\\n",
    "{a: b}",
    "[1, 2]",
    "*alias",
    "&anchor",
    "!tag",
    "%41",
    "null",
    "~",
    "${OTHER}",
    "|",
    " blanks ",
    "007",
    "1e3",
    "\u00e9\U0001f600",
]


@pytest.mark.parametrize("value", NASTY)
@pytest.mark.parametrize(
    "scalar",
    ["${X}", "'${X}'", '"${X}"', "|-\n    ${X}", "{a: ${X}}", "[${X}]", "&here ${X}"],
)
def test_a_value_is_one_scalar_as_it_is(value, scalar):
    where = "here"
    references = References(f"k: {scalar}\n", params={}, env={"X": value}, where=where)
    found = parse(references.text, references).data["k"]
    while isinstance(found, dict | list):
        found = found["a"] if isinstance(found, dict) else found[0]
    assert getattr(found, "raw", found) == value


@pytest.mark.parametrize("value", NASTY)
def test_a_password_is_not_cut_short_and_adds_nothing(value, tmp_path):
    text = TEXT.replace(
        "{type: sqlite, path: '${DB}'}",
        "{type: mysql, host: localhost, user: u, database: d, password: ${X}}",
    )
    config = config_from_text(text, tmp_path / "rivet.yaml", env={"X": value})
    assert config.source.password.reveal() == value
    assert [export.name for export in config.exports] == ["orders"]


def test_numbers_and_flags_keep_their_meaning(tmp_path):
    text = f"{TEXT}  skip_empty: ${{FLAG}}\n  max_file_size: ${{SIZE}}MB\n"
    env = {"DB": "a.db", "FLAG": "true", "SIZE": "64"}
    export = config_from_text(text, tmp_path / "rivet.yaml", env=env).exports[0]
    assert export.skip_empty is True


def test_a_comment_asks_for_nothing(tmp_path):
    config_from_text(f"# ${{UNSET}}\n{TEXT}", tmp_path / "rivet.yaml", env={"DB": "a.db"})


def test_a_character_of_placeholders_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"line 2: a character of a private plane, U\+F0001"):
        config_from_text(f"# first\n# \U000f0001\n{TEXT}", tmp_path / "rivet.yaml", env={})
