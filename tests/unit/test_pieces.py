"""Pieces and other spellings of a secret are masked, in texts of servers and in tracebacks."""

import json
import time
import traceback
from urllib.parse import quote, quote_plus

import pytest

from rivet.errors import SourceError
from rivet.redact import MASK, cleanse, foreign, redact, register_secret

LONG = "tr0ub4dor&3-correct horse'battery\"staple-ünïcödé-0123456789-0123456789-0123456789"


@pytest.mark.parametrize(
    "spelled",
    [
        json.dumps,
        lambda text: json.dumps(text, ensure_ascii=False),
        repr,
        ascii,
        lambda text: repr(text.encode()),
        lambda text: quote(text, safe="~").replace("%C3", "%c3"),
        quote_plus,
        lambda text: text.replace("'", "''"),
        lambda text: text.replace('"', '""'),
        lambda text: text.encode().hex(),
        lambda text: text.encode().decode("latin1"),
        str.lower,
    ],
)
@pytest.mark.parametrize("secret", [LONG, "pä'ss\"w\\ord", "new\nline\tand\x1b[2J"])
def test_a_secret_is_masked_however_it_is_spelled(secret, spelled):
    register_secret(secret)
    shown = redact(f"before {spelled(secret)} after")
    assert MASK in shown
    assert not any(secret[at : at + 5] in shown for at in range(len(secret) - 5))
    assert shown.startswith("before ")
    assert shown.endswith(" after")


@pytest.mark.parametrize("limit", [63, 32, 16])
def test_what_a_server_leaves_of_a_long_name_is_masked(limit):
    register_secret(LONG)
    piece = LONG.encode()[:limit].decode(errors="ignore")
    assert piece not in redact(f"role {piece} is unknown")
    assert redact(f'role "{piece}" does not exist') == f'role "{MASK}" does not exist'


@pytest.mark.parametrize(
    "text",
    [
        "You have an error in your SQL syntax near 'rien-sec' at line 1",
        'syntax error at or near "rien"',
        "near 'rien-secret2' AND b = 1' at line 1",
        "near 'x = 'o'brie' at line 1",
        "LINE 1: ...rien-secret2' FROM t",
        "LINE 1: SELECT 'o'brien-s...",
    ],
)
def test_what_a_server_quotes_of_a_statement_is_masked(text):
    register_secret("o'brien-secret2")
    assert not any(piece in foreign(text) for piece in ("rien", "brie", "secret"))
    error = ValueError(text)
    cleanse(error)
    assert "rien" not in "".join(traceback.format_exception(error)).partition("ValueError: ")[2]


def test_an_ordinary_message_stays_as_it_is():
    register_secret("postgresql://app:hunter2-orders@db.example.org:5432/orders_of_this_year")
    text = 'PostgreSQL at db.example.org:5432/orders_of_this_year: relation "invoices" is missing'
    assert foreign(text) == redact(text) == text


@pytest.mark.parametrize("url", ["mysql://u:p/ss?w#rd9@h/d", "mysql://u:p%2Fss%3Fw%23rd9@h/d"])
def test_the_password_of_a_url_is_a_secret_as_it_was_meant(url):
    register_secret(url)
    assert redact("denied to p/ss?w#rd9 at h") == f"denied to {MASK} at h"


@pytest.mark.parametrize("secret", ["a", "id", "the"])
def test_a_short_secret_is_masked_where_it_stands_alone_in_quotes(secret):
    register_secret(secret)
    assert redact(f"user '{secret}' and \"{secret}\"") == f"user '{MASK}' and \"{MASK}\""
    assert redact(f"postgres://u:{secret}@h") == f"postgres://{MASK}@h"
    assert redact("the idea is a good one") == "the idea is a good one"


def test_a_traceback_holds_no_secret_of_any_error_behind_it():
    register_secret(LONG)
    first, second, last = ValueError(LONG), KeyError(LONG), SourceError(f"no: {LONG}", hint=LONG)
    first.add_note(f"tried {LONG}")
    second.__cause__ = first
    last.__context__ = ExceptionGroup("of all", [second])
    cleanse(last)
    text = "".join(traceback.format_exception(last))
    assert "tr0ub" not in text
    assert text.count(MASK) >= 4
    assert "tr0ub" not in f"{last.message}{last.hint}{last!r}"


def test_what_is_foreign_is_cut_after_its_secrets_are_masked():
    register_secret(LONG)
    shown = foreign("x" * 15_990 + LONG)
    assert "tr0u" not in shown
    assert shown.endswith(f"({15_990 + len(LONG) - 4000:,} characters more)")
    assert foreign(f"x\n\ny {LONG[:20]}\n x") == f"x; y {MASK}"


@pytest.mark.parametrize("text", [LONG[:11], LONG[:12], "'\"`"])
def test_masking_takes_time_in_proportion_to_the_text(text):
    register_secret(LONG)
    began = time.process_time()
    redact(text * (1_000_000 // len(text)))
    assert time.process_time() - began < 15
