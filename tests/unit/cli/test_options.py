"""Options whose value is optional, and the values they take."""

import pytest

from rivet.cli.options import parse_parallel, with_amounts
from rivet.errors import ConfigError

BOTH = pytest.mark.parametrize("flag", ["--parallel-exports", "--parallel-export-processes"])


@BOTH
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_bare_flag_gets_its_value(flag, place):
    others = ["run", "-c", "rivet.yaml"]
    before, after = others[:place], others[place:]
    assert with_amounts([*before, flag, *after]) == [*before, f"{flag}=auto", *after]
    assert with_amounts([*others, flag]) == [*others, f"{flag}=auto"]


@BOTH
def test_what_has_a_value_stays(flag):
    for arguments in (["run", f"{flag}=4", "-e", "a"], ["run", f"{flag}="], ["run"], []):
        assert with_amounts(arguments) == arguments
    assert with_amounts(["run", "--", flag, "4"]) == ["run", "--", flag, "4"]
    assert with_amounts([flag, flag]) == [f"{flag}=auto", f"{flag}=auto"]
    assert with_amounts(["run", flag, "orders"]) == ["run", f"{flag}=auto", "orders"]


@BOTH
@pytest.mark.parametrize("amount", ["4", "0", "-1", "+2", "2.5", "auto", "true", "false"])
def test_a_number_after_a_blank_is_not_swallowed(flag, amount):
    with pytest.raises(ConfigError, match="behind =, not after a blank") as caught:
        with_amounts(["run", flag, amount])
    assert caught.value.hint == f"write {flag}={amount}"
    assert caught.value.exit_status == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (None, None),
        ("auto", True),
        ("true", True),
        ("false", False),
        ("1", 1),
        ("999999999", 10**9 - 1),
    ],
)
def test_amounts(text, value):
    taken = parse_parallel(text)
    assert taken == value
    assert type(taken) is type(value)


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "+1", "01", "1.0", "1e3", " 4", "4\n", "four", "٣", "9" * 5000, "AUTO"]
)
def test_what_is_no_amount(text):
    with pytest.raises(ConfigError, match="is not a number of exports") as caught:
        parse_parallel(text)
    assert caught.value.error_code == "RIVET_CLI_VALUE_INVALID"
    assert "--parallel-export-processes=4" in caught.value.hint
    assert len(caught.value.message) < 100
