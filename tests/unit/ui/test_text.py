"""Foreign text is made harmless, measured and cut."""

import pytest

from rivet.ui.text import ASCII, UNICODE, cells, cut, encodable, glyphs_of, harmless, one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\r\n  c\n", "a b c"),
        ("\x1b[31mred\x07\x9b", r"\u{1b}[31mred\u{07}\u{9b}"),
        ("a\u2028b\u2029c\x0bd\x85e", r"a\u{2028}b\u{2029}c\u{0b}d\u{85}e"),
        ("\u202etxt.exe\u2066\u200f", r"\u{202e}txt.exe\u{2066}\u{200f}"),
        ("\ud800 \ufeff\u200b", r"\u{d800} \u{feff}\u{200b}"),
        ("password=geheim ok", "password=*** ok"),
        ("größe 漢字 👍", "größe 漢字 👍"),
    ],
)
def test_one_line_shows_what_is_hidden(text, shown):
    assert one_line(text) == shown
    assert len(one_line(text).splitlines()) == 1


def test_harmless_text_keeps_its_lines():
    assert harmless("a\n\tb\x1b") == "a\n\tb\\u{1b}"


def test_a_long_message_is_bounded_after_its_secrets_are_masked():
    text = one_line("x" * 1995 + " secret=abcdefghij and more")
    assert len(text) == 2000
    assert "abc" not in text


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("abc", 3),
        ("漢字", 4),
        ("e\u0301", 1),
        ("👍", 2),
        ("❤", 1),
        ("❤\ufe0f", 2),
        ("👩\u200d💻", 4),
    ],
)
def test_cells_are_what_a_terminal_may_need(text, width):
    assert cells(text) == width


@pytest.mark.parametrize(
    ("text", "width", "line"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("漢字漢字", 6, "漢字…"),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…"),
        ("ab❤\ufe0fcd", 4, "ab❤…"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
        ("abc", -1, ""),
    ],
)
def test_cut(text, width, line):
    assert cut(text, width) == line
    assert cells(line) <= max(width, 0)


def test_cut_in_ascii():
    assert [cut("abcdef", width, "...") for width in (6, 5, 3, 2)] == [
        "abcdef",
        "ab...",
        "...",
        "..",
    ]


def test_glyphs_follow_the_encoding():
    assert glyphs_of("utf-8") is UNICODE
    assert glyphs_of("latin-1") is ASCII
    assert glyphs_of("no such encoding") is ASCII
    assert encodable("é漢", "latin-1") == "é\\u6f22"
    assert encodable("é", "no such encoding") == "\\xe9"
