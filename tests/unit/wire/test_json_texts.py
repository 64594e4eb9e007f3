"""JSON by RFC 8259 is taken, whatever else a database calls JSON is refused; in both forms."""

import json
import random

import pyarrow as pa
import pytest

from rivet.errors import FormatError
from rivet.wire.fields import Decoder, FieldSpec
from rivet.wire.kernel import kernel_kind, load

KINDS = ["interpreted", *(["compiled"] if kernel_kind() == "compiled" else [])]
TAKEN = [
    "0", "-0", "1.50", "1e400", "-1E+5", "null", "true", "false", '""', '"\\u0000"', "[]", "{}",
    " [1 , 2 ]\n", '{"a":1,"a":2}', '"\\ud83d\\ude00"', '"\\uD83D\\uDE00x"', '"\\\\ud800"',
    '"\\/\\b\\f\\n\\r\\t\\"\\\\"', '{"a":{"b":[{},[],"x"]}}', "[" * 5000 + "]" * 5000,
    '"\x7f\u2028"',
    '"\\uffff\\ue000\\ud7ff"', '[{"a":[]}]',
]  # fmt: skip
REFUSED = [
    "", " ", "-", "-1.", "01", "+1", ".5", "1e", "1.e5", "NaN", "Infinity", "nul", "truex", "tru",
    '"\\ud800"', '"\\udc00"', '"\\ude00\\ud83d"', '"\\ud83dx"', '{"\\ud800":1}', '"\\ud800\\u0041"',
    '"', '"\\', '"\\u12', '"\\u12g4"', '"\\x"', '"\x01"', '"a\nb"', "[1,]", "[,1]", "[1 2]", "{,}",
    '{"a"}', '{"a":}', '{"a":1,}', "{1:2}", "[}", "{]", "]", "[1]]", "1 2", "\ufeff1", "\x0b1",
    "[" * 5000 + "]" * 4999, '"\\ud83d\\ud83d"', '"\\ud83d\\n"',
]  # fmt: skip


def taken(kind, text):
    schema = pa.schema([pa.field("a", pa.string())])
    decoder = load(kind).CopyDecoder([FieldSpec("a", Decoder.JSON)], schema, 1 << 30)
    try:
        decoder.feed_row([text.encode()])
        batch = decoder.take()
    except FormatError:
        return False
    return batch.column(0).to_pylist() == [text]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_json(kind):
    assert [text for text in TAKEN if not taken(kind, text)] == []
    assert [text for text in REFUSED if taken(kind, text)] == []


def strictly(text):
    def refuse(word):
        raise ValueError(word)

    try:
        json.dumps(json.loads(text, parse_constant=refuse), ensure_ascii=False).encode()
    except ValueError:
        return False
    return True


def test_both_forms_agree_with_another_reader():
    pieces = [
        '"',
        "\\",
        "u",
        "d8",
        "00",
        "dc",
        "1",
        "0",
        ".",
        "e",
        "-",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
    ]
    pieces += ["true", "null", " ", "\n", '"a"', '"a":', "\\ud83d", "\\ude00", "é", "\x1f"]
    dice = random.Random(8259)
    for _ in range(5_000):
        text = "".join(dice.choices(pieces, k=dice.randint(1, 7)))
        expected = strictly(text)
        assert {taken(kind, text) for kind in KINDS} == {expected}, text
