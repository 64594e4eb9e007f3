"""Lines come out whole however the bytes are cut; no line makes the splitter grow."""

import pytest

from rivet.execution.children.lines import LineSplitter


def _split(blocks, limit_bytes=16):
    splitter = LineSplitter(limit_bytes)
    lines = [line for block in blocks for line in splitter.feed(block)]
    return lines + splitter.finish(), splitter.dropped


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\r\nb\n", [b"a", b"b"]),
        (b"\n\n", [b"", b""]),
        (b"a\rb\n", [b"a\rb"]),
        (b"\xff\xfe\n", [b"\xff\xfe"]),
    ],
)
def test_lines_end_with_lf_or_crlf(text, lines):
    assert _split([text]) == (lines, 0)
    assert _split([bytes([byte]) for byte in text]) == (lines, 0)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_line_of_the_limit_is_kept_and_a_longer_one_dropped_whole(end):
    text = b"x" * 16 + end + b"y" * 17 + end + b"z" + end
    expected = ([b"x" * 16, b"z"], 1)
    assert _split([text]) == expected
    assert _split([bytes([byte]) for byte in text]) == expected


def test_a_line_without_an_end_holds_no_more_than_the_limit():
    splitter = LineSplitter(1000)
    for _ in range(100):
        splitter.feed(b"x" * 999)
        assert len(splitter._pending) <= 1001
    assert splitter.finish() == []
    assert splitter.dropped == 1
