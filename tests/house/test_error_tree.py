"""Every error can be named, explained, sent to another process and printed as JSON."""

import json
import pickle
import re

import pytest

from rivet import errors
from rivet.errors import RivetError
from support import tree

EXIT_CODES = {1, 2, 3, 4, 5, 6}


def _below(cls):
    for child in cls.__subclasses__():
        if child.__module__.startswith("rivet."):
            yield child
            yield from _below(child)


CLASSES = [RivetError, *_below(RivetError)]
every_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


@every_class
def test_has_a_docstring_of_its_own(cls):
    assert cls.__dict__.get("__doc__")


@every_class
def test_has_a_code_of_its_own(cls):
    assert re.fullmatch(r"RIVET(_[A-Z0-9]+)+", cls.__dict__["code"])
    assert [other for other in CLASSES if other.code == cls.code] == [cls]


@every_class
def test_has_a_known_exit_code_and_only_code_2_is_worth_retrying(cls):
    assert cls.exit_code in EXIT_CODES
    assert cls.retryable == (cls.exit_code == 2)
    assert cls.retryable or not cls.reconnect


@every_class
def test_survives_pickle(cls):
    error = cls("table 'a' is gone", hint="look", code="RIVET_X_Y", table="a", rows=3)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls
    assert str(again) == "table 'a' is gone"
    assert again.__dict__ == error.__dict__


@every_class
def test_survives_json(cls):
    error = cls("table 'a' is gone", hint="look", table="a", rows=3, nothing=None)
    described = json.loads(json.dumps(error.to_json()))
    assert described["code"] == cls.code
    assert described["exit_class"] == error.exit_status
    assert described["hint"] == "look"
    assert described["context"] == {"table": "a", "rows": "3"}


@every_class
def test_lives_in_the_errors_package_and_is_public(cls):
    assert cls.__module__.rpartition(".")[0] == errors.__name__
    assert cls.__name__ in errors.__all__


@every_class
def test_is_drawn_in_the_module_docstring(cls):
    assert re.search(rf"\b{cls.__name__}\b", errors.__doc__)


@every_class
def test_has_a_row_in_the_reference(cls):
    page = tree.ROOT / "docs/reference/errors.md"
    assert f"`{cls.code}`" in page.read_text(encoding="utf-8")


def test_a_child_keeps_its_own_exit_code():
    error = errors.ChildFailedError("two exports failed", worst_exit_code=3)
    assert pickle.loads(pickle.dumps(error)).exit_status == 3
    assert error.to_json()["exit_class"] == 3


@pytest.mark.parametrize(
    ("codes", "worst"),
    [
        ([], 0),
        ([0, 0], 0),
        ([1, 0, 2], 2),
        ([2, 5, 4, 3, 6], 6),
        ([77, 0], 77),
        ([137, 0], 2),
        ([1, 139], 2),
        ([143, 3, 137], 3),
    ],
)
def test_the_worst_exit_code_is_never_that_of_a_signal(codes, worst):
    assert errors.worst_exit_code(codes) == worst
