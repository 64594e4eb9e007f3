"""Texts of numbers become exactly those numbers, or are refused: Arrow lets long ones wrap."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivet.model.types import decimal
from rivet.sources.decimals import decimals_of_texts
from rivet.sources.sqlite.values import UnfitError, converter


@pytest.mark.parametrize(
    "number", [2**128 - 1, 2**128, 1 - 2**128, 2**129, 10**38, int("1" * 80)], ids=str
)
def test_a_number_that_wraps_around_is_refused(number):
    assert pa.array(["340282366920938463463374607431768211455"]).cast(pa.decimal128(38))[0] == (
        pa.scalar(Decimal(-1), pa.decimal128(38))
    ), "Arrow counts digits by now: this guard may go"
    with pytest.raises(pa.ArrowInvalid):
        decimals_of_texts(pa.array(["1", str(number)]), pa.decimal128(38))
    for value in (number, str(number)):
        with pytest.raises(UnfitError, match="more digits"):
            converter(decimal(38, 0), is_overridden=False)([value])


@st.composite
def numbers(draw):
    precision = draw(st.sampled_from([5, 18, 30, 38, 40, 76]))
    scale = draw(st.integers(0, precision))
    digits = st.text("0123456789", min_size=1, max_size=85)
    text = draw(st.sampled_from(["", "-", "+"])) + draw(digits)
    if draw(st.booleans()):
        text += "." + draw(st.text("0123456789", min_size=1, max_size=scale + 3))
    return text, precision, scale


@given(numbers())
def test_it_is_the_number_or_none(case):
    text, precision, scale = case
    make = pa.decimal128 if precision <= 38 else pa.decimal256
    with localcontext() as context:
        context.prec = 300
        number = Decimal(text)
        fits = abs(number) < Decimal(10) ** (precision - scale)
        fits = fits and number == number.quantize(Decimal(1).scaleb(-scale))
        try:
            found = decimals_of_texts(pa.array([None, text]), make(precision, scale))
        except pa.ArrowInvalid:
            assert not fits
        else:
            assert fits
            assert found[0].as_py() is None
            assert found[1].as_py() == number
