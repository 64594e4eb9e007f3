"""Every type as a real PostgreSQL sent it, decoded by both forms of the kernel."""

import pyarrow as pa
import pytest

from rivet.wire.kernel import kernel_kind, load
from support.copyrows import plain_values, recorded_cases, schema_of

KINDS = ["interpreted"] + (["compiled"] if kernel_kind() == "compiled" else [])
CASES = recorded_cases()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_recorded_stream_gives_the_expected_values(case, kind):
    decoder = load(kind).CopyDecoder([case.field], schema_of(case.field), 1 << 20)
    decoder.feed(case.stream)
    decoder.finish()
    batch = decoder.take()
    batch.validate(full=True)
    assert plain_values(batch.column(0)) == case.expected
    assert batch.schema == schema_of(case.field)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_byte_at_a_time_gives_the_same(case):
    decoder = load().CopyDecoder([case.field], schema_of(case.field), 1 << 20)
    for index in range(len(case.stream)):
        decoder.feed(case.stream[index : index + 1])
    decoder.finish()
    assert plain_values(decoder.take().column(0)) == case.expected


@pytest.mark.parametrize("kind", KINDS)
def test_nulled_values_are_counted_by_column(kind):
    counted = [case for case in CASES if "null" in case.name or case.name == "timestamptz[]"]
    for case in counted:
        decoder = load(kind).CopyDecoder([case.field], schema_of(case.field), 1 << 20)
        for index in range(0, len(case.stream), 3):
            decoder.feed(case.stream[index : index + 3])
        expected = {"timestamptz[]": 1, "time 24:00 as null, ns": 1}.get(case.name)
        nulls = sum(value is None for value in case.expected)
        assert decoder.nulled == {"v": expected or nulls}


def test_a_batch_outlives_its_decoder_and_owns_its_memory():
    case = next(case for case in CASES if case.name == "text")
    decoder = load().CopyDecoder([case.field], schema_of(case.field), 1 << 20)
    before = pa.total_allocated_bytes()
    decoder.feed(case.stream)
    batch = decoder.take()
    decoder.close()
    del decoder
    assert plain_values(batch.column(0)) == case.expected
    del batch
    assert pa.total_allocated_bytes() == before
