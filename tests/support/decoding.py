"""Random bytes for the wire decoders, as a program: every outcome is a batch or a clear error.

    python -m support.decoding pgcopy|mysqlrows INPUTS SEED

One entry of `TARGETS` per decoder. Inputs are valid streams, damaged ones, lies about lengths and
noise, given in one exactly-sized piece of memory or cut anywhere, so that an address sanitizer sees
a read past the end. Exits with 1 and prints the input at the first outcome that is none of those.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import itertools
import random
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from pymysql.err import MySQLError

from rivet.errors import InternalError, RivetError
from rivet.sources.mysql.receive import RowReceiver
from rivet.wire import plain
from rivet.wire.fields import Decoder, FieldSpec
from rivet.wire.kernel import load
from support import copyrows, rowpackets

if TYPE_CHECKING:
    from collections.abc import Callable

_LARGEST_VALUE: Final = 1 << 16
_MOST_MEMORY: Final = 64 * 1024 * 1024
_PATIENCE_S: Final = 30
_LIES: Final = (
    b"\x00",
    b"\x7f",
    b"\xfa",
    b"\xfb",
    b"\xfc",
    b"\xfd",
    b"\xfe",
    b"\xff",
    b"\xff\xff",
    b"\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\x00\x00\x00",
    b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff",
)


def exact(data: bytes) -> Any:
    """Return the bytes in memory of their own size, not one more."""
    return (ctypes.c_ubyte * len(data)).from_buffer_copy(data) if data else b""


class PgCopy:
    """PostgreSQL's COPY BINARY: streams that a server has sent, and rows made of such cells."""

    def __init__(self) -> None:
        self._module = load(None, "pgcopy")
        self._recorded = copyrows.recorded_cases()

    def make(self, rng: random.Random) -> tuple[list[FieldSpec], bytes]:
        case = rng.choice(self._recorded)
        return [case.field], case.stream

    def run(self, fields: list[FieldSpec], pieces: list[bytes]) -> int:
        schema = copyrows.schema_of(*fields)
        decoder = self._module.CopyDecoder(fields, schema, _LARGEST_VALUE)
        for piece in pieces:
            decoder.feed(exact(piece))
        decoder.finish()
        return take(decoder)


class MysqlRows:
    """MySQL's result packets: rows of every kind of field, the end, the server's error."""

    def __init__(self) -> None:
        self._module = load(None, "mysqlrows")

    def make(self, rng: random.Random) -> tuple[list[FieldSpec], bytes]:
        chosen = [rng.choice(_MYSQL_FIELDS) for _ in range(rng.randint(1, 3))]
        rows = [
            rowpackets.row(*(None if rng.random() < 0.1 else text(rng) for _, text in chosen))
            for _ in range(rng.randint(0, 4))
        ]
        last = rowpackets.ERROR if rng.random() < 0.1 else rowpackets.END
        return [field for field, _ in chosen], rowpackets.packets([*rows, last])

    def run(self, fields: list[FieldSpec], pieces: list[bytes]) -> int:
        schema = rowpackets.schema_of(*fields)
        decoder = self._module.RowDecoder(fields, schema, _LARGEST_VALUE)
        if len(pieces) == 1:
            data = pieces[0]
            status = decoder.decode(exact(data), len(data), 1_000, 1 << 20)
            if status == plain.REFUSED:
                return 0
            decoder.finish()
            return take(decoder)
        RowReceiver(rowpackets.Pieces(pieces), decoder, 1 << 20, block_bytes=64).fill(
            1_000, 1 << 20
        )
        return take(decoder)


def take(decoder: Any) -> int:
    batch = decoder.take()
    batch.validate(full=True)
    return batch.num_rows


def _digits(rng: random.Random, most: int) -> bytes:
    sign = "-" if rng.random() < 0.3 else ""
    return f"{sign}{rng.randrange(10 ** rng.randint(1, most))}".encode()


def _decimal(rng: random.Random) -> bytes:
    return _digits(rng, 9) + b"." + str(rng.randrange(100)).zfill(2).encode()


def _moment(rng: random.Random) -> bytes:
    date = f"{rng.randrange(10000):04}-{rng.randrange(14):02}-{rng.randrange(33):02}"
    return f"{date} {rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}".encode()


def _noise(size: int) -> Callable[[random.Random], bytes]:
    return lambda rng: rng.randbytes(rng.randint(0, size))


_MYSQL_FIELDS: Final[list[tuple[FieldSpec, Callable[[random.Random], bytes]]]] = [
    (FieldSpec("a", Decoder.TEXT_BOOL), lambda rng: rng.choice([b"0", b"1", b"2"])),
    (FieldSpec("a", Decoder.TEXT_INT2), lambda rng: _digits(rng, 5)),
    (FieldSpec("a", Decoder.TEXT_INT4), lambda rng: _digits(rng, 10)),
    (FieldSpec("a", Decoder.TEXT_INT8), lambda rng: _digits(rng, 19)),
    (FieldSpec("a", Decoder.TEXT_UINT8), lambda rng: _digits(rng, 20)),
    (FieldSpec("a", Decoder.TEXT_FLOAT4), lambda rng: repr(rng.gauss(0, 1e9)).encode()),
    (FieldSpec("a", Decoder.TEXT_FLOAT8), lambda rng: repr(rng.gauss(0, 1e99)).encode()),
    (FieldSpec("a", Decoder.TEXT_DECIMAL, 12, 2), _decimal),
    (FieldSpec("a", Decoder.TEXT_DECIMAL, 65, 30), _decimal),
    (FieldSpec("a", Decoder.TEXT_DECIMAL, 38, 0), lambda rng: _digits(rng, 38)),
    (FieldSpec("a", Decoder.TEXT_DATE, invalid="null"), lambda rng: _moment(rng)[:10]),
    (FieldSpec("a", Decoder.TEXT_TIME), lambda rng: _moment(rng)[11:] + b".5"),
    (FieldSpec("a", Decoder.TEXT_TIMESTAMP, invalid="null"), _moment),
    (FieldSpec("a", Decoder.TEXT_TIMESTAMP, unit="ns", invalid="null"), _moment),
    (FieldSpec("a", Decoder.TEXT_UUID), lambda _: b"0a1b2c3d-0000-4000-8000-00000000000F"),
    (FieldSpec("a", Decoder.TEXT), lambda rng: "é😀x".encode() * rng.randint(0, 90)),
    (FieldSpec("a", Decoder.BYTES), _noise(300)),
    (FieldSpec("a", Decoder.UUID), lambda rng: rng.randbytes(16)),
    (FieldSpec("a", Decoder.BIT_BOOL), lambda rng: rng.choice([b"\0", b"\1"])),
    (FieldSpec("a", Decoder.BIT_INT8), lambda rng: rng.randbytes(rng.randint(1, 8))),
    (FieldSpec("a", Decoder.GEOMETRY), lambda rng: bytes(5) + rng.randbytes(rng.randint(4, 30))),
]
TARGETS: Final = {"pgcopy": PgCopy, "mysqlrows": MysqlRows}


def damaged(rng: random.Random, stream: bytes) -> bytes:
    """Return the stream, changed in some way or not at all."""
    way = rng.randrange(10)
    if way == 0:
        return stream
    if way == 1:
        return rng.randbytes(rng.randint(0, 64))
    data = bytearray(stream)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data)) if data else 0
        act = rng.randrange(6)
        if act == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif act == 1 and data:
            data[at] = rng.randrange(256)
        elif act == 2:
            lie = rng.choice(_LIES)
            data[at : at + len(lie)] = lie
        elif act == 3:
            del data[at:]
        elif act == 4:
            del data[at : at + rng.randint(1, 8)]
        else:
            other = rng.randrange(len(data)) if data else 0
            data[at:at] = data[other : other + rng.randint(1, 32)]
    return bytes(data)


def pieces_of(rng: random.Random, data: bytes) -> list[bytes]:
    if rng.random() < 0.8:
        return [data]
    places = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randint(1, 4)))
    bounds = [0, *places, len(data)]
    return [data[a:b] for a, b in itertools.pairwise(bounds)]


def look_at(name: str, inputs: int, seed: int) -> dict[str, int]:
    """Give a decoder so many inputs; return how many were whole and how many were refused.

    Raises:
        AssertionError: An outcome that is neither; the message holds the input.
    """
    rng = random.Random(seed)
    target = TARGETS[name]()
    found = {"whole": 0, "refused": 0}
    gc.collect()  # what tests before this one left
    held = pa.total_allocated_bytes()
    for number in range(inputs):
        if number % 1000 == 0:
            # A decoder that hangs ends the program with a traceback of where.
            faulthandler.dump_traceback_later(_PATIENCE_S, exit=True)
        fields, stream = target.make(rng)
        data = damaged(rng, stream)
        pieces = pieces_of(rng, data)
        told = f"{name} {seed} {number}: {fields} {data.hex()}"
        try:
            target.run(fields, pieces)
            found["whole"] += 1
        except MySQLError:
            found["refused"] += 1
        except RivetError as error:
            if isinstance(error, InternalError) or not str(error) or not error.hint:
                raise AssertionError(told) from error
            found["refused"] += 1
        except BaseException as error:
            raise AssertionError(told) from error
        if pa.total_allocated_bytes() - held >= _MOST_MEMORY:
            gc.collect()
            assert pa.total_allocated_bytes() - held < _MOST_MEMORY, told
    faulthandler.cancel_dump_traceback_later()
    return found


def main() -> None:
    name, inputs, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    began = time.monotonic()
    found = look_at(name, inputs, seed)
    rate = inputs / (time.monotonic() - began)
    told = f"{name}: {inputs} inputs, {found['whole']} whole, {found['refused']} refused"
    sys.stdout.write(f"{told}, {rate:.0f}/s\n")


if __name__ == "__main__":
    main()
