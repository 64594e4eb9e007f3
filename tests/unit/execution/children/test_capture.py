"""What a child wrote is kept at both ends, counted between, and harmless to show."""

import time

import pytest

from rivet import redact
from rivet.execution.children.capture import CaptureBudget, StderrCapture
from rivet.model.report import ChildOutput

ROOMY = 1 << 30


@pytest.fixture
def known_secrets():
    before = redact._known
    yield
    redact._known = before


def _captured(*blocks, budget=None):
    capture = StderrCapture("orders", budget or CaptureBudget())
    for block in blocks:
        capture.feed(block)
    return capture


def _numbered(count):
    return b"".join(b"line %d\n" % number for number in range(count))


def _texts(numbers):
    return tuple(f"line {number}" for number in numbers)


def test_nothing_written_is_no_output():
    capture = _captured(b"")
    assert capture.finish() is None
    assert capture.last_words() is None
    assert capture.error() is None


@pytest.mark.parametrize("count", [1, 20, 4979, 4980, 4981, 5000])
def test_up_to_5000_lines_are_kept_whole(count):
    assert _captured(_numbered(count)).finish() == ChildOutput("orders", _texts(range(count)))


@pytest.mark.parametrize("count", [5001, 5019, 5020, 9000])
@pytest.mark.parametrize("block_bytes", [1, 7, 4096, 1 << 20])
def test_of_more_lines_both_ends_are_kept_and_the_others_counted(count, block_bytes):
    text = _numbered(count)
    blocks = [text[at : at + block_bytes] for at in range(0, len(text), block_bytes)]
    assert _captured(*blocks).finish() == ChildOutput(
        "orders", _texts(range(4980)), count - 5000, _texts(range(count - 20, count))
    )


def test_a_last_line_without_an_end_counts_as_a_line():
    output = _captured(_numbered(5000), b"the ", b"last").finish()
    assert output.dropped == 1
    assert output.tail[-2:] == ("line 4999", "the last")


def test_a_long_line_is_cut_at_4096_characters():
    head = (
        _captured(b"x" * 4096 + b"\n", b"y" * 4097 + b"\n", "é".encode() * 9000, b"\n")
        .finish()
        .head
    )
    assert head == ("x" * 4096, "y" * 4095 + "…", "é" * 4095 + "…")


def test_a_line_without_an_end_holds_little_memory():
    capture = _captured(*[b"z" * 100_000] * 20)
    assert len(capture._pending) < 32_000
    assert capture.finish() == ChildOutput("orders", ("z" * 4095 + "…",))


def test_control_bytes_and_broken_utf8_are_made_visible():
    output = _captured(b"\x1b[2Jgone\xff\r\n").finish()
    assert output.head == ("\\u{1b}[2Jgone\ufffd",)


@pytest.mark.usefixtures("known_secrets")
def test_secrets_are_masked_in_head_tail_words_and_error():
    redact.register_secret("hunter2secret")
    line = b"cannot connect to postgresql://app:pw@db/shop with hunter2secret\n"
    capture = _captured(line, _numbered(6000), line, b"Error: [RIVET_SOURCE_AUTH] hunter2secret\n")
    output = capture.finish()
    masked = "cannot connect to postgresql://***@db/shop with ***"
    assert output.head[0] == output.tail[-2] == masked
    assert capture.last_words() == "Error: [RIVET_SOURCE_AUTH] ***"
    assert capture.error() == ("RIVET_SOURCE_AUTH", "***", None)


@pytest.mark.usefixtures("known_secrets")
@pytest.mark.parametrize("filler", ["x", "𝛑"])
def test_a_secret_cut_in_half_is_not_shown(filler):
    redact.register_secret("hunter2secret")
    for before in (4090, 5110, 20_470):
        shown = _captured((filler * before + "hunter2secret" + filler * 20_000).encode()).finish()
        assert "hunter" not in shown.head[0]


def test_one_child_keeps_2_mib_at_most():
    output = _captured(*[b"x" * 4000 + b"\n"] * 1000, budget=CaptureBudget(ROOMY)).finish()
    assert 2 << 20 > sum(map(len, output.head)) > 2_000_000
    assert len(output.head) + output.dropped + len(output.tail) == 1000
    assert len(output.tail) == 20


def test_escapes_that_grow_count_as_they_are_kept():
    lines = [b"%04d" % number + b"\0" * 680 + b"\n" for number in range(3000)]
    output = _captured(*lines).finish()
    assert sum(map(len, output.head)) < 2 << 20
    assert len(output.head) + output.dropped + len(output.tail) == 3000
    assert [line[:4] for line in output.tail] == [f"{number:04}" for number in range(2980, 3000)]


def test_children_share_one_budget_and_keep_their_last_lines_past_it():
    budget = CaptureBudget(3 << 20)
    captures = [_captured(*[b"x" * 4000 + b"\n"] * 600, budget=budget) for _ in range(4)]
    outputs = [capture.finish() for capture in captures]
    assert sum(len(line) for output in outputs for line in output.head) < 3 << 20
    for output in outputs:
        assert len(output.head) + output.dropped + len(output.tail) == 600
        assert len(output.tail) == 20


def test_a_chatty_child_costs_little():
    block = b"\n".join([b"noise " * 10] * 1000) + b"\n"
    capture = StderrCapture("orders", CaptureBudget())
    before = time.process_time()
    blocks = 50_000_000 // len(block)
    for _ in range(blocks):
        capture.feed(block)
    assert time.process_time() - before < 1
    output = capture.finish()
    assert len(output.head) + output.dropped + len(output.tail) == blocks * 1000


RIVET = b"warning: slow\nError: [RIVET_SOURCE_AUTH] refused\nHint: check the user\n"
TRACEBACK = b"""Traceback (most recent call last):
  File "a.py", line 1, in <module>
    raise ValueError("a
ValueError: first line
second line
"""
FATAL = b"""Fatal Python error: Segmentation fault

Current thread 0x01 (most recent call first):
  File "a.py", line 1 in <module>
"""


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (RIVET, ("RIVET_SOURCE_AUTH", "refused", "check the user")),
        (RIVET + b"a late warning\n\n", ("RIVET_SOURCE_AUTH", "refused", "check the user")),
        (b"Error: [RIVET_A] one\nHint: no\n" + b"Error: [RIVET_B] two\n", ("RIVET_B", "two", None)),
        (b"Error: [Errno 2] no file\n", (None, "[Errno 2] no file", None)),
        (b"Error: \xc3\n", (None, "\ufffd", None)),
        (TRACEBACK, (None, "ValueError: first line", None)),
        (FATAL, (None, "Fatal Python error: Segmentation fault", None)),
        (b"sh: 1: rivet: not found\n \n\n", (None, "sh: 1: rivet: not found", None)),
        (b"half a li", (None, "half a li", None)),
    ],
)
@pytest.mark.parametrize("lines_before", [0, 6000])
def test_the_childs_own_words_of_its_failure(text, error, lines_before):
    capture = _captured(_numbered(lines_before), text)
    assert capture.error() == error
    capture.finish()
    assert capture.error() == error


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b" \n\t\n", None),
        (b"the end\n" + b"\n" * 30, "the end"),
        (_numbered(6000) + b"\n" * 30, None),
    ],
)
def test_blank_lines_are_no_words_and_words_before_a_gap_are_not_the_last(text, words):
    capture = _captured(text)
    assert capture.last_words() == words
    capture.finish()
    assert capture.last_words() == words
    assert capture.error() == (words and (None, words, None))


@pytest.mark.usefixtures("known_secrets")
def test_a_secret_cut_in_half_after_many_masked_ones_is_not_shown():
    long_secret = "hunter2" * 42
    redact.register_secret(long_secret)
    shown = _captured((long_secret + " ").encode() * 100).finish()
    assert "hunter" not in shown.head[0]
