"""Secrets never show; control bytes become visible."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivet.redact import MASK, Secret, brief, redact, redact_json, visible

NASTY = ["p@ss/w?rd#1", "a:b@c", "100%sure", "q'uo\"te", "sp ace", "ünïcödé", "{curly}", "$(sub)"]


@pytest.mark.parametrize("password", NASTY)
def test_a_known_secret_is_masked_raw_and_percent_encoded(password):
    secret = Secret(password)
    text = f"tried {password} and {quote(password, safe='')} and {quote(password)}"
    masked = redact(text)
    assert password not in masked
    assert quote(password, safe="") not in masked
    assert secret.reveal() == password


def test_a_secret_shows_itself_nowhere():
    secret = Secret("hunter2hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://user:topsecret@db/x",
        "connect to postgres://u:to/p?secret#@db:5432/x failed",
        "host=db password=topsecret user=x",
        "password='topsecret' rejected",
    ],
)
def test_unregistered_credentials_are_masked_by_pattern(text):
    assert "secret" not in redact(text).replace("secret'", "")
    assert MASK in redact(text)


@given(st.text())
def test_redact_and_visible_take_any_text(text):
    shown = visible(redact(text))
    assert not any(ord(c) < 32 and c not in "\t\n" for c in shown)


def test_control_bytes_become_visible_text():
    assert visible("a\x1b[2Jb\x9b\x7f\r\n\tc") == "a\\u{1b}[2Jb\\u{9b}\\u{7f}\\u{0d}\n\tc"


@pytest.mark.parametrize("secret", [*NASTY, "918273645"])
def test_masked_json_is_json_without_the_secret(secret):
    Secret(secret)
    text = json.dumps({"rows": 918273645, "is_done": True, "message": f"no: {secret}"})
    body = json.loads(redact_json(text))
    assert body["rows"] == 918273645
    assert body["is_done"] is True
    assert secret not in body["message"]


def test_a_mask_at_the_end_of_a_json_string_keeps_its_quote():
    text = json.dumps({"message": "rejected password=topsecret", "rows": 1})
    assert json.loads(redact_json(text)) == {"message": f"rejected password={MASK}", "rows": 1}


def test_a_long_text_is_cut_and_says_so():
    assert brief("x" * 4000) == "x" * 4000
    assert brief("x" * 9_000_000) == f"{'x' * 4000}... (8,996,000 characters more)"


def test_what_turns_the_direction_of_text_is_visible():
    assert visible("a\u202eb\u2066c\u200f") == "a\\u{202e}b\\u{2066}c\\u{200f}"
