"""Texts of numbers as Arrow decimals, or a refusal; never another number.

Arrow reads more digits than its integer holds without a word, and the number wraps around:
2^128 - 1 becomes -1. So digits are counted where there may be too many.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["decimals_of_texts"]

_DIGITS: Final = {128: 38, 256: 76}
# Without zeros that say nothing, in front and behind.
_PARTS: Final = r"^(?P<sign>[+-]?)0*(?P<whole>[0-9]*)(?:\.(?P<part>[0-9]*?)0*)?$"


def decimals_of_texts(texts: pa.Array, target: pa.DataType) -> pa.Array:
    """Return the numbers that texts spell.

    Args:
        texts: Plain numbers, or NULL; a number with an exponent is short.
        target: A decimal type.

    Raises:
        pyarrow.ArrowInvalid: A number has more digits than the type holds, or is none.
    """
    longest = pc.max(pc.binary_length(texts)).as_py() or 0
    if longest + target.scale <= _DIGITS[target.bit_width]:
        return texts.cast(target)
    parts = pc.extract_regex(texts, _PARTS)
    sign, whole, part = (pc.struct_field(parts, name) for name in ("sign", "whole", "part"))
    is_plain = pc.is_valid(whole)
    is_large = pc.or_(
        pc.greater(pc.binary_length(whole), target.precision - target.scale),
        pc.greater(pc.binary_length(pc.fill_null(part, "")), target.scale),
    )
    if pc.any(pc.and_(is_plain, pc.fill_null(is_large, fill_value=False))).as_py():
        msg = "more digits than the type holds"
        raise pa.ArrowInvalid(msg)
    digits = pc.if_else(pc.equal(whole, ""), "0", whole)
    plain = pc.binary_join_element_wise(sign, digits, ".", pc.fill_null(part, ""), "")
    return pc.if_else(is_plain, plain, texts).cast(target)
